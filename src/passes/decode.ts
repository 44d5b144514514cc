/** Greedy decoding in batches with a cache of keys and values; sequences of equal length run together. */
import { attend } from '../model/attention';
import { residual } from '../model/mlp';
import { inScope, read, upload, uploadMatrix } from '../tensor/host';
import type { Tensor2D, Tensor3D } from '../tensor/tf';
import { breathe } from './breath';
import { embed, feedForward, rotationOf } from './forward';
import { logitsAt } from './head';
import type { Conditions, OpenModel } from './model';

export interface DecodeOptions {
  readonly maxNewTokens: number;
  /** A sequence stops after one of these, which is its last token. */
  readonly endTokens: ReadonlySet<number>;
  readonly progress?: (done: number, total: number) => void;
}

/** Keys and values of one sequence in one layer, `[length, kvHeads * width]` each, in buffers with room to grow. */
interface Cache {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

interface Running {
  readonly row: number;
  readonly prompt: Int32Array;
  readonly made: number[];
  readonly caches: Cache[];
}

/** Tokens of one group's cache that are decoded together, so that the group's tensors stay small. */
const groupTokens = 2 ** 14;

/** Argmax continuation `[<= maxNewTokens]` of each prompt. Equal to transformers' generate with do_sample false. */
export async function decode(model: OpenModel, prompts: readonly Int32Array[], options: DecodeOptions, conditions: Conditions): Promise<Int32Array[]> {
  const results: Int32Array[] = prompts.map(() => new Int32Array(0));
  const order = prompts.map((_, row) => row).sort((a, b) => prompts[a].length - prompts[b].length || a - b);
  let done = 0;
  for (let i = 0; i < order.length; ) {
    const { length } = prompts[order[i]];
    const members: number[] = [];
    const limit = Math.max(1, Math.floor(groupTokens / (length + options.maxNewTokens)));
    while (i < order.length && prompts[order[i]].length === length && members.length < limit) members.push(order[i++]);
    const made = await decodeGroup(
      model,
      members.map((row) => prompts[row]),
      options,
      conditions,
    );
    members.forEach((row, m) => {
      results[row] = made[m];
    });
    done += members.length;
    options.progress?.(done, prompts.length);
  }
  return results;
}

/** Prompts of equal length; a sequence that has ended leaves the group. */
async function decodeGroup(model: OpenModel, prompts: readonly Int32Array[], options: DecodeOptions, conditions: Conditions): Promise<Int32Array[]> {
  const { length } = prompts[0];
  if (length === 0) return prompts.map(() => new Int32Array(0));
  const room = length + options.maxNewTokens;
  const all: Running[] = prompts.map((prompt, row) => ({
    row,
    prompt,
    made: [],
    caches: model.layers.map(({ attention }) => ({
      keys: new Float32Array(room * attention.kvHeads * attention.keyWidth),
      values: new Float32Array(room * attention.kvHeads * attention.valueWidth),
    })),
  }));
  let running = all;
  let past = 0;
  let ids = Int32Array.from(prompts.flatMap((prompt) => Array.from(prompt)));
  for (let step = 0; step < options.maxNewTokens && running.length > 0; step++) {
    if (past === model.layers[0].attention.rope.turning) {
      past = 0;
      ids = Int32Array.from(running.flatMap(({ prompt, made }) => [...prompt, ...made]));
    }
    const fresh = ids.length / running.length;
    let x = await embed(model, ids, conditions);
    for (let layer = 0; layer < model.shape.layers; layer++) {
      x = await cachedAttention(model, layer, running, x, past, fresh, conditions);
      x = (await feedForward(model, layer, x, conditions)).y;
    }
    past += fresh;
    const lastRows = Int32Array.from(running, (_, n) => (n + 1) * fresh - 1);
    const logits = await logitsAt(model, x, lastRows, conditions);
    const vocabulary = logits.length / running.length;
    running.forEach(({ made }, n) => {
      made.push(argmax(logits.subarray(n * vocabulary, (n + 1) * vocabulary)));
    });
    running = running.filter(({ made }) => !options.endTokens.has(made[made.length - 1]));
    ids = Int32Array.from(running, ({ made }) => made[made.length - 1]);
    await breathe(conditions.signal);
  }
  return all.map(({ made }) => Int32Array.from(made));
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Attention of `fresh` new tokens a sequence, whose keys and values join the cache behind `past` older ones. x `[n * fresh, d]`. */
async function cachedAttention(
  model: OpenModel,
  layer: number,
  running: readonly Running[],
  x: Float32Array,
  past: number,
  fresh: number,
  conditions: Conditions,
): Promise<Float32Array> {
  const d = model.shape.hiddenSize;
  const { attention } = model.layers[layer];
  const count = running.length;
  const length = past + fresh;
  const widths = { keys: attention.kvHeads * attention.keyWidth, values: attention.kvHeads * attention.valueWidth };
  const positions = Int32Array.from({ length: count * fresh }, (_, row) => past + (row % fresh));
  const mask = Float32Array.from({ length: fresh * length }, (_, i) => {
    const query = past + Math.floor(i / length);
    const key = i % length;
    return key <= query && (attention.window === null || query - key < attention.window) ? 0 : -1e30;
  });
  const lease = await model.weights.lease(attention.parts, conditions.overlay);
  try {
    return inScope(() => {
      const input = uploadMatrix(x, count * fresh, d);
      const { q, k, v } = attention.project(lease.w, input, rotationOf(attention, positions));
      const gathered = (['keys', 'values'] as const).map((name) => {
        const own = read(name === 'keys' ? k : v);
        const width = widths[name];
        const joined = new Float32Array(count * length * width);
        running.forEach(({ caches }, n) => {
          const cache = caches[layer][name];
          cache.set(own.subarray(n * fresh * width, (n + 1) * fresh * width), past * width);
          joined.set(cache.subarray(0, length * width), n * length * width);
        });
        return upload(joined, [count * length, attention.kvHeads, width / attention.kvHeads]) as Tensor3D;
      });
      const context = attend(q, gathered[0], gathered[1], upload(mask, [1, 1, fresh, length]), count, attention.scale, false, lease.w.sinks);
      return read(residual(input, attention.output(lease.w, context as Tensor2D)));
    });
  } finally {
    lease.release();
  }
}
