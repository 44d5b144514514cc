/**
 * What jobs cost on checkpoints that are not here, by the plan's own model: `node scale.js JSON` prints one JSON line with, for each config,
 * operations and bytes of each phase. Nothing is measured here; the speeds that turn it into seconds are bench/scale.mjs's.
 */
import fs from 'node:fs';
import { runMemory } from '../src/experiment/memory-plan';
import { phaseNames, phasesOf } from '../src/experiment/run-phases';
import { flopsOf, type Work } from '../src/experiment/work-plan';
import { openArchitecture } from '../src/model/families';
import { allParts, type OpenModel, weightLimits } from '../src/passes/model';
import { blockTokens } from '../src/passes/original-pass';
import { unwrap } from '../src/protocol/fault';
import { parseRecipe, resolveRecipe } from '../src/protocol/recipe';
import type { Target } from '../src/protocol/records';
import { elementCount, type TensorRef } from '../src/protocol/tensors';
import { openBackend } from '../src/tensor/backend';
import { trainedSizes } from '../src/unlearn/training-set';

interface Job {
  readonly configs: Readonly<Record<string, string>>;
  readonly memory: number;
  /** Rows of each set, tokens of each row, rows of a batch. */
  readonly rows: number;
  readonly rowTokens: number;
  readonly batchSize: number;
  readonly steps: number;
  /** What the process holds before. */
  readonly processBytes: number;
}

/** A checkpoint of bf16 that has every tensor the architecture asks for. */
function shapeOnly(config: unknown, memory: number): OpenModel {
  const architecture = unwrap(openArchitecture(config, { has: () => false, stored: (name) => name }));
  const parts = allParts(architecture as OpenModel);
  const tensors = new Map(parts.map(({ ref }) => [ref.name, { dtype: 'BF16' }]));
  const elements = parts.reduce((sum, { ref }) => sum + elementCount(ref.shape), 0);
  const checkpoint = { tensors, dtype: 'BF16', totalBytes: 2 * elements };
  const staysWidened = elements * 4 <= weightLimits(checkpoint, memory).widenedBytes;
  // Only what a plan looks at: shapes, types and sizes.
  return { ...architecture, weights: { checkpoint, staysWidened, unitOf: (ref: TensorRef) => ref } } as unknown as OpenModel;
}

const cost = (work: Work) => ({ flops: flopsOf(work), bytes: work.bytes });

/** Weights that a pass over any number of tokens reads; it makes one for each block of tokens. */
const onePass = (model: OpenModel) => allParts(model).reduce((sum, { layer, ref }) => sum + (layer === null ? 0 : 2 * elementCount(ref.shape)), 0);

async function main(): Promise<void> {
  const { configs, memory, rows, rowTokens, batchSize, steps, processBytes }: Job = JSON.parse(process.argv[2]);
  unwrap(await openBackend('cpu', 1));
  const lengths = Array.from({ length: rows }, () => rowTokens);
  const set = { lengths, targets: lengths.map((length) => length - 1) };
  const models = Object.entries(configs).map(([name, file]) => {
    const model = shapeOnly(JSON.parse(fs.readFileSync(file, 'utf8')), memory);
    const { moeLayers } = model.shape;
    const layer = moeLayers[moeLayers.length >> 1];
    const target: Target = { experts: [{ layer, expert: 0 }], train: 'expert+router' };
    const runs = (['rmu', 'gdiff'] as const).flatMap((method) => {
      const { recipe } = unwrap(
        resolveRecipe(unwrap(parseRecipe({ model: name, forget: 'forget', retain: 'retain', method, target: 'auto', steps, batchSize, memory }))),
      );
      const sizes = trainedSizes(model, recipe, target);
      const phases = phasesOf(model, recipe, { forget: set, retain: set, checks: [], evaluate: [] }, { target, trainedValues: sizes.parameters, stored: true });
      const sets = { forget: lengths, retain: lengths, checks: [], evaluate: [] };
      const { peakBytes } = runMemory({ checkpoint: model.weights.checkpoint, model }, recipe, sets, target, true, true, sizes, processBytes);
      return [{ method, trained: sizes.parameters, peakBytes, phases: Object.fromEntries(phaseNames.map((phase) => [phase, cost(phases[phase])])) }];
    });
    const parts = allParts(model);
    const elements = parts.reduce((sum, { ref }) => sum + elementCount(ref.shape), 0);
    return {
      name,
      passBytes: onePass(model),
      blockTokens: blockTokens(model, memory),
      parameters: elements,
      bytes: 2 * elements,
      layer,
      runs,
      storedBytes: 2 * rows * rowTokens * model.shape.hiddenSize * 4 * (moeLayers.length + 1),
    };
  });
  console.log(JSON.stringify(models));
}

void main();
