/** patch.safetensors: the changed units of a checkpoint in f32, keyed `name` or `name[e]` (DESIGN 4.3). */
import { faultOf, ok, type Result, refuse, unwrap } from '../protocol/fault';
import { elementCount, type HostTensor, type Patch, parseUnitName } from '../protocol/tensors';
import { firstNotFinite, widen } from '../tensor/dtype';
import { bytesOf, layOut, readSafetensors, writeSafetensors } from './safetensors';
import { isWeightDtype } from './slice';

const FORMAT = 'uoe-patch';
const VERSION = '1';

/** Throws a FaultError unless every value is finite. `at` names the patch in the sentence. */
export function refuseNotFinite(at: string, unit: string, values: Float32Array): void {
  const bad = firstNotFinite(bytesOf(values), 'F32');
  if (bad >= 0)
    refuse(
      'not-finite',
      `${at}: ${unit} holds ${values[bad]} (value number ${bad}).`,
      'Such a patch would break the model; run again with a lower learning rate or with clipping.',
    );
}

/** Writes a patch file, whole or not at all, and gives its bytes. NaN and infinity are refused. */
export async function writePatch(path: string, patch: Patch): Promise<Result<number>> {
  try {
    for (const [unit, { values }] of patch.units) refuseNotFinite(path, unit, values);
    const tensors = [...patch.units].map(([name, { shape, values }]) => ({ name, dtype: 'F32' as const, shape, bytes: bytesOf(values) }));
    const metadata: Record<string, string> = { ...patch.metadata, format: FORMAT, version: VERSION };
    if (patch.base !== undefined) metadata.base = patch.base;
    const written = await writeSafetensors(path, tensors, metadata);
    return written.ok ? ok(layOut(tensors, metadata).bytes) : written;
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

/** Reads a patch file; one written by another program (no base, F16 or BF16 values) will do. */
export async function readPatch(path: string): Promise<Result<Patch>> {
  try {
    const { tensors, metadata } = unwrap(await readSafetensors(path));
    const { base, format, version, ...rest } = Object.fromEntries(metadata);
    if (format === FORMAT && version !== VERSION)
      refuse('unsupported', `${path} is a patch of version ${version}; this UOE reads version ${VERSION}.`, 'Update UOE.');
    if (tensors.size === 0) refuse('bad-file', `${path} holds no tensors.`, 'Give a patch.safetensors of a run.');
    const units = new Map<string, HostTensor>();
    for (const [unit, { dtype, shape, bytes }] of tensors) {
      if (!isWeightDtype(dtype)) return refuse('unsupported', `${path}: ${unit} is stored as ${dtype}; a patch holds F32, F16 or BF16.`);
      const values = new Float32Array(elementCount(shape));
      widen(bytes, dtype, values);
      refuseNotFinite(path, unit, values);
      units.set(unit, { shape, values });
    }
    for (const unit of units.keys()) {
      const { name, index } = parseUnitName(unit);
      if (index !== undefined && units.has(name)) refuse('bad-file', `${path} holds ${name} whole and again as ${unit}.`, 'Keep one of them.');
    }
    return ok({ units, ...(base === undefined ? {} : { base }), metadata: rest });
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}
