/** How far a patch moves each of its units, measured on the values as the checkpoint stores them. */
import type { ChangedTensor } from '../protocol/engine';
import { faultOf, ok, type Result, unwrap } from '../protocol/fault';
import { bytesPerElement, elementCount, type Patch, parseUnitName } from '../protocol/tensors';
import { locateUnit } from './check-patch';
import type { Checkpoint } from './checkpoint';
import { roundPatch } from './round-patch';

/** One entry per unit, by name. `original` is the checkpoint the patch was made from. */
export async function unitChanges(patch: Patch, original: Checkpoint): Promise<Result<readonly ChangedTensor[]>> {
  try {
    const { patch: stored } = unwrap(await roundPatch(patch, original));
    const changes: ChangedTensor[] = [];
    for (const [unit, tensor] of [...stored.units].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const { dtype } = locateUnit(original, unit, tensor);
      const old = unwrap(await original.readValues({ ...parseUnitName(unit), shape: tensor.shape }));
      let change = 0;
      let weight = 0;
      let largest = 0;
      for (let i = 0; i < old.length; i++) {
        const moved = tensor.values[i] - old[i];
        change += moved * moved;
        weight += old[i] * old[i];
        if (Math.abs(moved) > largest) largest = Math.abs(moved);
      }
      const bytes = elementCount(tensor.shape) * bytesPerElement[dtype];
      changes.push({ unit, shape: tensor.shape, dtype, bytes, norm: Math.sqrt(change), weightNorm: Math.sqrt(weight), largest });
    }
    return ok(changes);
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}
