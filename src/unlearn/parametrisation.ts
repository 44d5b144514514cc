/** From what the optimizer moves to weights of the checkpoint, and back for their gradients. Most runs move the weights themselves. */
import type { UnitGradients } from '../passes/weight-gradients';
import { elementCount, type HostTensor, type TensorRef, unitName } from '../protocol/tensors';

/** What the optimizer moves, by name. */
export type Params = ReadonlyMap<string, Float32Array>;

export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface Parametrisation {
  /** In the order in which they are saved and updated. */
  readonly parameters: readonly NamedShape[];
  /** Weights that stand in for the checkpoint's, by unit name. */
  overlay(params: Params): Map<string, HostTensor>;
  /** Gradients of the parameters from those of the units; zeros where a unit has none. */
  gradients(units: UnitGradients, params: Params): UnitGradients;
}

/** The units themselves. */
export function unitParametrisation(units: readonly TensorRef[]): Parametrisation {
  const parameters = units.map((unit) => ({ name: unitName(unit), shape: unit.shape }));
  return {
    parameters,
    overlay: (params) => new Map(parameters.map(({ name, shape }) => [name, { shape, values: params.get(name) as Float32Array }])),
    gradients: (gradients) =>
      new Map(parameters.map(({ name, shape }) => [name, gradients.get(name) ?? { shape, values: new Float32Array(elementCount(shape)) }])),
  };
}

export const parameterCount = ({ parameters }: Pick<Parametrisation, 'parameters'>): number =>
  parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
