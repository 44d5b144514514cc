/** Gated MLPs: down(silu(gate x) * up x), as expert, shared expert and dense layer; and where their weights lie. */
import type { TensorRef } from '../protocol/tensors';
import { add, matMul, mul, sigmoid, sub, sum, type Tensor, type Tensor2D } from '../tensor/tf';
import type { Block, ClosedForm, ClosedGradients, Parts, TensorNames, WantedGradients, Weights } from './family';
import { linear } from './linear';

/** silu(g) * u, named once because every family here uses it (hidden_act "silu"). */
const gated = (gate: Tensor2D, up: Tensor2D): Tensor2D => mul(mul(gate, sigmoid(gate)), up) as Tensor2D;

const inner = (w: Weights, x: Tensor2D): [Tensor2D, Tensor2D] => [linear(x, w.gate, w.gateBias), linear(x, w.up, w.upBias)];

const output = (w: Weights, [gate, up]: readonly Tensor2D[]): Tensor2D => linear(gated(gate, up), w.down, w.downBias);

const runMlp = (w: Weights, x: Tensor2D): Tensor2D => output(w, inner(w, x));

/** The scale's gradient is <dy W_down, h>: the output itself is not needed. */
function pullBackMlp(
  w: Weights,
  x: () => Tensor2D,
  [gate, up]: readonly Tensor2D[],
  dy: Tensor2D,
  scale: Tensor2D | null,
  wanted: WantedGradients,
): ClosedGradients {
  const open = sigmoid(gate);
  const activated = mul(gate, open);
  const hidden = mul(activated, up) as Tensor2D;
  const back = matMul(dy, w.down as Tensor2D) as Tensor2D;
  const dHidden = scale ? mul(back, scale) : back;
  const dUp = mul(dHidden, activated) as Tensor2D;
  const slope = add(open, mul(activated, sub(1, open)));
  const dGate = mul(mul(dHidden, up), slope) as Tensor2D;
  const byRow = (values: Tensor) => sum(values, 1, true) as Tensor2D;
  const dScale = scale && byRow(mul(back, hidden));
  const dDown = () => (scale ? mul(dy, scale) : dy) as Tensor2D;
  const gradients: Readonly<Record<string, () => Tensor>> = {
    gate: () => matMul(dGate, x(), true, false),
    up: () => matMul(dUp, x(), true, false),
    down: () => matMul(dDown(), hidden, true, false),
    gateBias: () => sum(dGate, 0),
    upBias: () => sum(dUp, 0),
    downBias: () => sum(dDown(), 0),
  };
  return {
    ...(wanted.input ? { input: add(matMul(dGate, w.gate as Tensor2D), matMul(dUp, w.up as Tensor2D)) as Tensor2D } : {}),
    ...(dScale ? { scale: w.downBias ? (add(dScale, byRow(mul(dy, w.downBias))) as Tensor2D) : dScale } : {}),
    parts: new Map([...wanted.parts].map((part) => [part, gradients[part]()])),
  };
}

const closedMlp = (m: number): ClosedForm => ({ width: 2 * m, inner, output, pullBack: pullBackMlp });

export interface MlpNames {
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

export const projNames: MlpNames = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' };

/** MLP with tensors `{prefix}.{gate}.weight` of width m; biases where `bias`. */
export function mlpBlock(prefix: string, names: TensorNames, d: number, m: number, bias = false, own: MlpNames = projNames): Block {
  const weight = (name: string, shape: readonly number[]): TensorRef => ({ name: names.stored(`${prefix}.${name}.weight`), shape });
  const biasOf = (name: string, size: number): TensorRef => ({ name: names.stored(`${prefix}.${name}.bias`), shape: [size] });
  const parts: Parts = {
    gate: weight(own.gate, [m, d]),
    up: weight(own.up, [m, d]),
    down: weight(own.down, [d, m]),
    ...(bias ? { gateBias: biasOf(own.gate, m), upBias: biasOf(own.up, m), downBias: biasOf(own.down, d) } : {}),
  };
  return { parts, run: runMlp, closed: closedMlp(m) };
}

/**
 * Expert `index` below `prefix` (".../experts"): its own tensors `{prefix}.{index}.{gate}.weight`, or its slice of the
 * aggregated `{prefix}.gate_up_proj` [E, 2m, d] (gate rows first) and `{prefix}.down_proj` [E, d, m].
 */
export function expertBlock(prefix: string, index: number, names: TensorNames, d: number, m: number, own: MlpNames = projNames): Block {
  const fused = `${prefix}.gate_up_proj`;
  if (!names.has(fused)) return mlpBlock(`${prefix}.${index}`, names, d, m, false, own);
  const gateUp = names.stored(fused);
  const parts: Parts = {
    gate: { name: gateUp, index, rows: [0, m], shape: [m, d] },
    up: { name: gateUp, index, rows: [m, 2 * m], shape: [m, d] },
    down: { name: names.stored(`${prefix}.down_proj`), index, shape: [d, m] },
  };
  return { parts, run: runMlp, closed: closedMlp(m) };
}

/** Qwen2-MoE's shared expert: sigmoid(gate u) * mlp(u). */
export function gatedSharedBlock(mlp: Block, sharedGate: TensorRef): Block {
  const parts: Parts = { ...mlp.parts, sharedGate };
  const run = (w: Weights, x: Tensor2D) => mul(sigmoid(linear(x, w.sharedGate)), mlp.run(w, x)) as Tensor2D;
  const { closed } = mlp;
  if (!closed) return { parts, run };
  return {
    parts,
    run,
    closed: {
      width: closed.width + 1,
      inner: (w, x) => [linear(x, w.sharedGate), ...closed.inner(w, x)],
      output: (w, [logit, ...own]) => mul(sigmoid(logit), closed.output(w, own)) as Tensor2D,
      pullBack(w, x, [logit, ...own], dy, scale, wanted) {
        const open = sigmoid(logit);
        const ofMlp = new Set([...wanted.parts].filter((part) => part !== 'sharedGate'));
        const result = closed.pullBack(w, x, own, dy, (scale ? mul(open, scale) : open) as Tensor2D, { ...wanted, parts: ofMlp });
        const dOpen = result.scale as Tensor2D;
        const { input } = result;
        const dLogit = mul(scale ? mul(dOpen, scale) : dOpen, mul(open, sub(1, open))) as Tensor2D;
        const dGate = wanted.parts.has('sharedGate') ? [['sharedGate', matMul(dLogit, x(), true, false)] as const] : [];
        return {
          ...(input ? { input: add(input, mul(dLogit, w.sharedGate)) as Tensor2D } : {}),
          ...(scale ? { scale: mul(dOpen, open) as Tensor2D } : {}),
          parts: new Map<string, Tensor>([...result.parts, ...dGate]),
        };
      },
    },
  };
}

/** x + y, for residuals. */
export const residual = (x: Tensor2D, y: Tensor2D): Tensor2D => add(x, y) as Tensor2D;
