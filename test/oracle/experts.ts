/** Feed-forward blocks: one expert, the mixture, shared experts, dense layers. */
import { type Checkpoint, type Parts, partsOf } from './checkpoint';
import { linear, type Matrix, sigmoid, silu, zeros } from './matrix';
import { type Forbidden, type Routing, route } from './router';
import type { OracleTensor } from './safetensors';

interface Mlp {
  readonly gate: OracleTensor;
  readonly up: OracleTensor;
  readonly down: OracleTensor;
  readonly biases?: { readonly gate: OracleTensor; readonly up: OracleTensor; readonly down: OracleTensor };
}

/** down(silu(gate x) * up x) */
function mlp({ gate, up, down, biases }: Mlp, x: Matrix): Matrix {
  const gated = linear(x, gate, biases?.gate);
  const raised = linear(x, up, biases?.up);
  return linear(
    gated.map((row, t) => row.map((value, i) => silu(value) * raised[t][i])),
    down,
    biases?.down,
  );
}

function namedMlp(part: Parts, prefix: string, withBias: boolean): Mlp {
  const of = (kind: 'weight' | 'bias') => ({
    gate: part(`${prefix}gate_proj.${kind}`),
    up: part(`${prefix}up_proj.${kind}`),
    down: part(`${prefix}down_proj.${kind}`),
  });
  return withBias ? { ...of('weight'), biases: of('bias') } : of('weight');
}

const rowsOf = (tensor: OracleTensor, e: number, from: number, to: number): OracleTensor => {
  const [, rows, columns] = tensor.shape;
  return { shape: [to - from, columns], values: tensor.values.subarray((e * rows + from) * columns, (e * rows + to) * columns) };
};

/** Where a layer's mixture lies: Mixtral's and PhiMoE's published name, else `mlp.` */
export function mixturePrefix(checkpoint: Checkpoint, layer: number): string {
  const published = `model.layers.${layer}.block_sparse_moe.`;
  return ['gate', 'router'].some((name) => checkpoint.weights.has(`${published}${name}.weight`)) ? published : `model.layers.${layer}.mlp.`;
}

/** The three matrices of expert e, from tensors per expert (Mixtral's w1, w3, w2 too) or from the aggregated pair [E, 2m, d], [E, d, m]. */
export function expertMatrices(checkpoint: Checkpoint, layer: number, e: number): Mlp {
  const part = partsOf(checkpoint, `${mixturePrefix(checkpoint, layer)}experts.`);
  const has = (name: string): boolean => checkpoint.weights.has(`${mixturePrefix(checkpoint, layer)}experts.${name}`);
  if (has('gate_up_proj')) {
    const width = part('gate_up_proj').shape[1] / 2;
    const down = part('down_proj');
    return { gate: rowsOf(part('gate_up_proj'), e, 0, width), up: rowsOf(part('gate_up_proj'), e, width, 2 * width), down: rowsOf(down, e, 0, down.shape[1]) };
  }
  if (has(`${e}.w1.weight`)) return { gate: part(`${e}.w1.weight`), up: part(`${e}.w3.weight`), down: part(`${e}.w2.weight`) };
  return namedMlp(part, `${e}.`, false);
}

/** gpt_oss: x W + b with W as [in, out]; gate in even places, up in odd ones, both clamped; down((up + 1) gate sigmoid(alpha gate)). */
function clampedExpert(checkpoint: Checkpoint, layer: number, e: number, x: Matrix): Matrix {
  const { swiglu_alpha: alpha, swiglu_limit: limit } = checkpoint.config;
  const part = partsOf(checkpoint, `model.layers.${layer}.mlp.experts.`);
  const product = (rows: Matrix, name: string): Matrix => {
    const [, inputs, outputs] = part(name).shape;
    const weight = rowsOf(part(name), e, 0, inputs).values;
    const bias = part(`${name}_bias`).values.slice(e * outputs, (e + 1) * outputs);
    return rows.map((row) => bias.map((start, o) => row.reduce((sum, value, i) => sum + value * weight[i * outputs + o], start)));
  };
  const hidden = product(x, 'gate_up_proj').map((both) =>
    Float64Array.from({ length: both.length / 2 }, (_, i) => {
      const gate = Math.min(both[2 * i], limit);
      const up = Math.min(Math.max(both[2 * i + 1], -limit), limit);
      return (up + 1) * gate * sigmoid(alpha * gate);
    }),
  );
  return product(hidden, 'down_proj');
}

/** Expert e on rows of x. */
const runExpert = (checkpoint: Checkpoint, layer: number, e: number, x: Matrix): Matrix =>
  checkpoint.config.model_type === 'gpt_oss' ? clampedExpert(checkpoint, layer, e, x) : mlp(expertMatrices(checkpoint, layer, e), x);

/** A dense layer's feed-forward. */
export const denseFeedForward = (checkpoint: Checkpoint, layer: number, u: Matrix): Matrix =>
  mlp(namedMlp(partsOf(checkpoint, `model.layers.${layer}.mlp.`), '', checkpoint.config.model_type === 'deepseek_v2' && checkpoint.config.mlp_bias), u);

/** What always runs beside the routed experts, or null. */
function alwaysOn(checkpoint: Checkpoint, layer: number, u: Matrix): Matrix | null {
  const { config } = checkpoint;
  const part = partsOf(checkpoint, `model.layers.${layer}.mlp.`);
  if (config.model_type === 'qwen2_moe') {
    const openness = linear(u, part('shared_expert_gate.weight')).map(([x]) => sigmoid(x));
    return mlp(namedMlp(part, 'shared_expert.', false), u).map((row, t) => row.map((value) => value * openness[t]));
  }
  if (config.model_type === 'deepseek_v2') return mlp(namedMlp(part, 'shared_experts.', config.mlp_bias), u);
  if (config.model_type === 'deepseek_v3' || config.model_type === 'glm4_moe') return mlp(namedMlp(part, 'shared_experts.', false), u);
  return null;
}

/** The mixture: sum over the chosen of gate times expert, plus what is always on. u [tokens, hidden]. */
export function mixture(
  checkpoint: Checkpoint,
  layer: number,
  u: Matrix,
  forbidden?: Forbidden,
  kept?: readonly (readonly number[])[],
): { routing: Routing; moe_out: Matrix } {
  const routing = route(checkpoint.config, partsOf(checkpoint, mixturePrefix(checkpoint, layer)), u, forbidden, kept);
  const out = alwaysOn(checkpoint, layer, u) ?? zeros(u.length, checkpoint.config.hidden_size);
  for (const e of new Set(routing.topk_index.flat())) {
    const tokens = [...u.keys()].filter((t) => routing.topk_index[t].includes(e));
    const outputs = runExpert(
      checkpoint,
      layer,
      e,
      tokens.map((t) => u[t]),
    );
    tokens.forEach((t, row) => {
      for (let i = 0; i < out[t].length; i++) out[t][i] += routing.gates[t][e] * outputs[row][i];
    });
  }
  return { routing, moe_out: out };
}
