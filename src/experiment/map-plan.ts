/** What a knowledge map costs, before it is measured: its suffixes counted on a sample of the rows, at the speed that a sample of the model has here. */
import os from 'node:os';
import { type Component, jobsOf, type OriginalBlock, rowPasses, seenStretches, suffixStart } from '../passes/ablated-suffix';
import { type Conditions, type OpenModel, weightLimits } from '../passes/model';
import { inBlocks } from '../passes/original-pass';
import { pack, targetsOf } from '../passes/packing';
import { lastRouting, sweepAll } from '../passes/sweep';
import type { MapPlan } from '../protocol/knowledge-map';
import type { TokenSequence } from '../protocol/sequences';
import { spreadRows } from './routing-change';
import { secondsOf } from './speed-sample';
import { speedHere } from './time-plan';
import { addWork, headWork, noWork, passWork, storedBytes, timesWork, type Work } from './work-plan';

/** Sequences that are looked at to tell how many the components touch. */
const sampleRows = 48;
/** Tokens of a product that runs at full speed. */
const fullRows = 1024;

export interface MapPlanInputs {
  readonly model: OpenModel;
  readonly sequences: readonly TokenSequence[];
  readonly components: readonly Component[];
  readonly conditions: Conditions;
  readonly blockTokens: number;
  readonly poolTokens: number;
  /** Bytes of the process's budget. */
  readonly memory: number;
}

/** Suffixes through one layer: sequences by length for its attention, rows for its feed-forward. */
interface Load {
  readonly lengths: Map<number, number>;
  rows: number;
}

/** A pass of some sequences through attention, in products of a usual size. */
function attentionWork(model: OpenModel, layer: number, lengths: ReadonlyMap<number, number>): Work {
  const bytes = { ...storedBytes(model), attention: () => 0 };
  return [...lengths].reduce((work, [length, count]) => {
    const together = Math.max(1, Math.floor(fullRows / Math.max(1, length)));
    const own = { lengths: new Array<number>(together).fill(length), targets: 0 };
    return addWork(work, timesWork(passWork(model, bytes, own, { layer, at: 'attention' }, { layer, at: 'feed' }), count / together));
  }, noWork);
}

export async function planMap(inputs: MapPlanInputs): Promise<Omit<MapPlan, 'rows' | 'known'>> {
  const began = performance.now();
  const { model, sequences, components, conditions, blockTokens, poolTokens, memory } = inputs;
  const { layers } = model.shape;
  const sample = spreadRows(sequences.length, sampleRows).map((row) => sequences[row]);
  const batch = pack(sample);
  const choices = new Map<number, Int32Array>();
  await sweepAll(model, batch, conditions, { routing: ({ layer, choice }) => choices.set(layer, choice) }, lastRouting(model));
  const block: Pick<OriginalBlock, 'batch' | 'choices' | 'stretches'> = { batch, choices, stretches: sample.map(seenStretches) };
  const targets = targetsOf(batch);
  const targetRows = sample.map((_, z) => new Set(targets.rows.filter((_, n) => targets.sequence[n] === z)).size);
  const times = sequences.length / Math.max(1, sample.length);
  const loads: Load[] = Array.from({ length: layers }, () => ({ lengths: new Map<number, number>(), rows: 0 }));
  const tokens = new Float64Array(layers + 1);
  let passes = 0;
  let scored = 0;
  for (const component of components) {
    for (const job of jobsOf(block, component)) {
      const { length } = sample[job.sequence].ids;
      const from = suffixStart(component);
      passes += times * rowPasses(model, job);
      scored += times * Math.min(job.tokens.length, targetRows[job.sequence]);
      tokens[from.layer] += times * length;
      for (let layer = from.layer; layer < layers; layer++) {
        loads[layer].rows += times * job.tokens.length;
        const hasAttention = layer > from.layer || from.at === 'attention';
        if (hasAttention) loads[layer].lengths.set(length, (loads[layer].lengths.get(length) ?? 0) + times);
      }
    }
  }
  const bytes = storedBytes(model);
  const all = { lengths: sequences.map(({ ids }) => ids.length), targets: 0 };
  // The pass of the original, and its pieces once more.
  let work = timesWork(passWork(model, bytes, all, { layer: 0, at: 'attention' }, { layer: layers, at: 'attention' }), 2);
  const blocks = Math.max(1, inBlocks(sequences, blockTokens).length);
  loads.forEach((load, layer) => {
    // A pool reads every layer above it once.
    const pools = tokens.subarray(0, layer + 1).reduce((sum, own) => sum + (own > 0 ? blocks * Math.ceil(own / blocks / poolTokens) : 0), 0);
    const feed = passWork(model, bytes, { lengths: [Math.round(load.rows)], targets: 0 }, { layer, at: 'feed' }, { layer: layer + 1, at: 'attention' });
    work = addWork(work, attentionWork(model, layer, load.lengths), { ...feed, bytes: pools * (bytes.attention(layer) + feed.bytes) });
  });
  work = addWork(work, headWork(model, bytes, Math.round(scored)));
  const { checkpoint, staysWidened } = model.weights;
  const read = staysWidened ? checkpoint.totalBytes : work.bytes;
  const length = sequences.reduce((sum, { ids }) => sum + ids.length, 0) / Math.max(1, sequences.length);
  const speed = await speedHere(model, 2 ** Math.max(2, Math.min(9, Math.round(Math.log2(Math.max(1, length))))), conditions.signal);
  const cold = checkpoint.totalBytes <= os.freemem() ? Math.min(read, checkpoint.totalBytes) : read;
  return {
    components: components.length,
    rowPasses: Math.round(passes),
    wholePasses: components.length * layers * all.lengths.reduce((sum, own) => sum + own, 0),
    seconds: secondsOf({ ...work, bytes: read }, speed, cold, weightLimits(checkpoint, memory).aheadBytes > 0).total,
    bytesToRead: Math.round(read),
    sampleSeconds: (performance.now() - began) / 1000,
  };
}
