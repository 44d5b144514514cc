/** Gradients of trained weights: which of a piece's parts train, how they are cut from their units, and where their gradients add up. */
import type { Parts } from '../model/family';
import { elementCount, type HostTensor, type TensorRef, unitName } from '../protocol/tensors';
import { read, readInto } from '../tensor/host';
import { slice, type Tensor } from '../tensor/tf';
import type { Overlay } from '../weights/store';
import { addInto, workRoom } from './blocks';
import type { OpenModel } from './model';

/** Gradients by unit name, summed over everything pulled back so far. */
export type UnitGradients = Map<string, HostTensor>;

export interface WeightGradients {
  /** Unit names. */
  readonly trained: ReadonlySet<string>;
  readonly gradients: UnitGradients;
}

export const partsTrain = (parts: Parts, trained: ReadonlySet<string>): boolean => Object.values(parts).some((ref) => trained.has(unitName(ref)));

/** Names of the parts that train. */
export const namesOfTrained = (parts: Parts, trained: ReadonlySet<string>): ReadonlySet<string> =>
  new Set(Object.entries(parts).flatMap(([part, ref]) => (trained.has(unitName(ref)) ? [part] : [])));

/** `values` becomes the gradient's own. */
function addGradient(gradients: UnitGradients, unit: string, shape: readonly number[], values: Float32Array): void {
  const known = gradients.get(unit);
  if (known) addInto(known.values, values);
  else gradients.set(unit, { shape, values });
}

/** The gradient of a unit as an array to add to, zeros where nothing was added yet. */
export function gradientOf(model: OpenModel, gradients: UnitGradients, ref: TensorRef): Float32Array {
  const name = unitName(ref);
  let known = gradients.get(name);
  if (!known) {
    const { shape } = model.weights.unitOf(ref);
    known = { shape, values: new Float32Array(elementCount(shape)) };
    gradients.set(name, known);
  }
  return known.values;
}

/** Adds the gradient of one part to that of the unit it is cut from. */
export function addPartGradient(model: OpenModel, gradients: UnitGradients, ref: TensorRef, values: Tensor): void {
  const own = workRoom(0, values.size);
  readInto(values, own);
  const first = (ref.rows?.[0] ?? 0) * (values.size / ref.shape[0]);
  addInto(gradientOf(model, gradients, ref).subarray(first, first + values.size), own);
}

/** The trained units of one piece, on lease beside its parts, for a tape. */
export interface UnitsOnTape {
  readonly tensors: readonly Tensor[];
  /** Parts cut from the units as they stand on the tape. */
  parts(units: readonly Tensor[]): Record<string, Tensor>;
  /** Adds the gradients of the units, in the order of `tensors`. */
  add(results: readonly Tensor[]): void;
  release(): void;
}

export async function unitsOnTape(model: OpenModel, parts: Parts, { trained, gradients }: WeightGradients, overlay: Overlay): Promise<UnitsOnTape> {
  const units = new Map<string, TensorRef>();
  for (const ref of Object.values(parts)) if (trained.has(unitName(ref))) units.set(unitName(ref), model.weights.unitOf(ref));
  const names = [...units.keys()];
  const lease = await model.weights.lease(Object.fromEntries(units), overlay);
  return {
    tensors: names.map((name) => lease.w[name]),
    parts: (own) =>
      Object.fromEntries(
        Object.entries(parts)
          .filter(([, ref]) => units.has(unitName(ref)))
          .map(([part, ref]) => {
            const unit = own[names.indexOf(unitName(ref))];
            if (!ref.rows) return [part, unit];
            const [from, to] = ref.rows;
            return [part, slice(unit, [from, ...ref.shape.slice(1).map(() => 0)], [to - from, ...ref.shape.slice(1)])];
          }),
      ),
    add: (results) =>
      results.forEach((result, i) => {
        addGradient(gradients, names[i], (units.get(names[i]) as TensorRef).shape, read(result));
      }),
    release: lease.release,
  };
}
