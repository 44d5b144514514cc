/** gpt-oss's experts: down((up + 1) * gate * sigmoid(alpha gate)) of a clamped gate and up, with biases, stored for x W instead of x Wᵀ. */
import {
  add,
  cast,
  clipByValue,
  concat,
  equal,
  matMul,
  minimum,
  mul,
  reshape,
  sigmoid,
  slice,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  transpose,
} from '../tensor/tf';
import type { Block, ClosedForm, ClosedGradients, Parts, TensorNames, Weights } from './family';

export interface ClampedMlpSettings {
  readonly d: number;
  readonly m: number;
  /** swiglu_alpha. */
  readonly alpha: number;
  /** swiglu_limit: the gate is at most this, |up| too. */
  readonly limit: number;
}

/** Gate and up of `[T, 2m]`, where they take turns. */
function apart(both: Tensor2D): { gate: Tensor2D; up: Tensor2D } {
  const [rows, width] = both.shape;
  const count = (rows * width) / 2;
  const turned = transpose(reshape(both, [count, 2]));
  const row = (i: number) => reshape(slice(turned, [i, 0], [1, count]), [rows, width / 2]) as Tensor2D;
  return { gate: row(0), up: row(1) };
}

/** The inverse of `apart`. */
function inTurns(gate: Tensor, up: Tensor): Tensor2D {
  const [rows, m] = gate.shape;
  const flat = (x: Tensor) => reshape(x, [1, rows * m]);
  return reshape(transpose(concat([flat(gate), flat(up)], 0)), [rows, 2 * m]);
}

/** 1 where clamping changes nothing, else 0. */
const unclamped = (x: Tensor, clamped: Tensor): Tensor => cast(equal(x, clamped), 'float32');

function closedClamped({ m, alpha, limit }: ClampedMlpSettings): ClosedForm {
  const inner = (w: Weights, x: Tensor2D) => [add(matMul(x, w.gateUp as Tensor2D), w.gateUpBias) as Tensor2D];
  const clamped = ({ gate, up }: { gate: Tensor2D; up: Tensor2D }) => ({ gate: minimum(gate, limit), up: clipByValue(up, -limit, limit) });
  const output = (w: Weights, [both]: readonly Tensor2D[]) => {
    const { gate, up } = clamped(apart(both));
    const hidden = mul(add(up, 1), mul(gate, sigmoid(mul(gate, alpha)))) as Tensor2D;
    return add(matMul(hidden, w.down as Tensor2D), w.downBias) as Tensor2D;
  };
  return {
    width: 2 * m,
    inner,
    output,
    pullBack(w, x, [both], dy, scale, wanted): ClosedGradients {
      const raw = apart(both);
      const { gate, up } = clamped(raw);
      const open = sigmoid(mul(gate, alpha));
      const activated = mul(gate, open);
      const raised = add(up, 1);
      const hidden = mul(raised, activated) as Tensor2D;
      const back = matMul(dy, w.down as Tensor2D, false, true) as Tensor2D;
      const dHidden = scale ? mul(back, scale) : back;
      const dUp = mul(mul(dHidden, activated), unclamped(raw.up, up));
      const slope = add(open, mul(mul(activated, alpha), sub(1, open)));
      const dGate = mul(mul(mul(dHidden, raised), slope), unclamped(raw.gate, gate));
      const dBoth = inTurns(dGate, dUp);
      const dOut = () => (scale ? mul(dy, scale) : dy) as Tensor2D;
      const gradients: Readonly<Record<string, () => Tensor>> = {
        gateUp: () => matMul(x(), dBoth, true, false),
        gateUpBias: () => sum(dBoth, 0),
        down: () => matMul(hidden, dOut(), true, false),
        downBias: () => sum(dOut(), 0),
      };
      return {
        ...(wanted.input ? { input: matMul(dBoth, w.gateUp as Tensor2D, false, true) as Tensor2D } : {}),
        ...(scale ? { scale: add(sum(mul(back, hidden), 1, true), sum(mul(dy, w.downBias), 1, true)) as Tensor2D } : {}),
        parts: new Map([...wanted.parts].map((part) => [part, gradients[part]()])),
      };
    },
  };
}

/**
 * Expert `index` below `prefix` (".../experts"): its slices of `gate_up_proj` [E, d, 2m] (gate and up in turns), `gate_up_proj_bias` [E, 2m],
 * `down_proj` [E, m, d] and `down_proj_bias` [E, d].
 */
export function clampedExpertBlock(prefix: string, index: number, names: TensorNames, settings: ClampedMlpSettings): Block {
  const { d, m } = settings;
  const part = (name: string, shape: readonly number[]) => ({ name: names.stored(`${prefix}.${name}`), index, shape });
  const parts: Parts = {
    gateUp: part('gate_up_proj', [d, 2 * m]),
    gateUpBias: part('gate_up_proj_bias', [2 * m]),
    down: part('down_proj', [m, d]),
    downBias: part('down_proj_bias', [d]),
  };
  const closed = closedClamped(settings);
  return { parts, inputsFirst: true, run: (w, x) => closed.output(w, closed.inner(w, x)), closed };
}
