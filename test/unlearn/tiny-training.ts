/** A training on a random tiny checkpoint. */
import { fail } from 'node:assert';
import { unwrap } from '../../src/protocol/fault';
import { type Recipe, type ResolvedRecipe, resolveRecipe } from '../../src/protocol/recipe';
import type { Target } from '../../src/protocol/records';
import { openTraining, type TrainingInputs } from '../../src/unlearn/training';
import { type Checkpoint, withUnits } from '../oracle/checkpoint';
import type { Family, OracleConfig } from '../oracle/config';
import { asSequence, seedWhere, type TinyCase } from '../passes/tiny-case';

export const recipeOf = (fields: Partial<Recipe>): ResolvedRecipe =>
  unwrap(resolveRecipe({ model: 'm', forget: 'f', retain: 'r', batchSize: 'all', steps: 10, ...fields } as Recipe)).recipe;

/** Two MoE layers or more, a layer above the lowest, and a router that has a gradient. */
export const trainable = (config: OracleConfig): boolean => config.num_experts_per_tok > 1 && config.moe.filter(Boolean).length > 1;

export const trainableSeed = (family: Family, from = 0): number => seedWhere(family, trainable, from);

export const rowsOf = ({ forget, retain }: Pick<TinyCase, 'forget' | 'retain'>): TrainingInputs['rows'] => ({
  forget: forget.map((sequence, i) => asSequence(sequence, `forget ${i}`)),
  retain: retain.map((sequence, i) => asSequence(sequence, `retain ${i}`)),
});

export const openTiny = (given: TinyCase, fields: Partial<Recipe>, target: Target, more: Partial<TrainingInputs> = {}): ReturnType<typeof openTraining> =>
  openTraining({ model: given.model, recipe: recipeOf({ ...fields, train: target.train as Recipe['train'] }), target, rows: rowsOf(given), ...more });

/** The oracle's checkpoint with trained units in place. */
export const patched = (checkpoint: Checkpoint, params: ReadonlyMap<string, ArrayLike<number>>): Checkpoint =>
  withUnits(checkpoint, new Map([...params].map(([unit, values]) => [unit, { values }])));

/** The expert of a layer that most of the forget tokens chose, then the next. */
export function mostChosen(given: TinyCase, choices: ReadonlyMap<number, readonly (readonly number[])[]>[], layer: number): number[] {
  const counts = new Array<number>(given.model.shape.experts).fill(0);
  for (const own of choices) for (const chosen of own.get(layer) ?? fail('no such layer')) for (const e of chosen) counts[e]++;
  return [...counts.keys()].sort((a, b) => counts[b] - counts[a]);
}
