/** What a family of models is: pure, differentiable pieces with the names of their weights. No I/O, no order, no memory. */
import type { Result } from '../protocol/fault';
import type { TensorRef } from '../protocol/tensors';
import type { Tensor, Tensor2D, Tensor3D } from '../tensor/tf';
import type { RopeLayout, RopeTable } from './rope';

/** Named weights of a piece as they lie in the checkpoint. */
export type Parts = Readonly<Record<string, TensorRef>>;
/** The same, leased into the backend: valid inside one call. */
export type Weights = Readonly<Record<string, Tensor>>;

/** Row-wise piece `[T, d] -> [T, d]`. */
export interface Block {
  readonly parts: Parts;
  /** Its matrices lie `[inputs, outputs]` in the checkpoint; else `[outputs, inputs]`. */
  readonly inputsFirst?: true;
  run(w: Weights, x: Tensor2D): Tensor2D;
  /** Its gradient in closed form, where it has one; else it is run again on the tape. */
  readonly closed?: ClosedForm;
}

/** `run` in two halves, and its gradient from what the first half gives. */
export interface ClosedForm {
  /** Numbers of `inner` for one row. */
  readonly width: number;
  inner(w: Weights, x: Tensor2D): readonly Tensor2D[];
  output(w: Weights, inner: readonly Tensor2D[]): Tensor2D;
  /** The vector-Jacobian product of scale * run(w, x) with dy `[T, d]`; scale `[T, 1]`, null for 1. `x` is asked for where parts are wanted. */
  pullBack(w: Weights, x: () => Tensor2D, inner: readonly Tensor2D[], dy: Tensor2D, scale: Tensor2D | null, wanted: WantedGradients): ClosedGradients;
}

export interface WantedGradients {
  readonly input: boolean;
  /** Names of parts. */
  readonly parts: ReadonlySet<string>;
}

export interface ClosedGradients {
  /** `[T, d]`, where wanted. */
  readonly input?: Tensor2D;
  /** `[T, 1]`, where there is a scale. */
  readonly scale?: Tensor2D;
  readonly parts: ReadonlyMap<string, Tensor>;
}

/** Positions of the rows of one span, as rotary tables `[rows, 1, dim]` in the attention's layout. */
export interface Rotation {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Attention without its scores: projections before and after, so that packed passes and cached decoding share them. */
export interface Attention {
  /** Where `sinks` `[heads]` is among them, it is one more logit in every query's softmax, whose share goes to no value. */
  readonly parts: Parts;
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyWidth: number;
  readonly valueWidth: number;
  readonly scale: number;
  /** Keys visible to a query, itself included; null = all before it. */
  readonly window: number | null;
  readonly rope: RopeTable;
  readonly ropeLayout: RopeLayout;
  /** Residual stream `[N, d]` (its norm is inside) -> queries `[N, heads, keyWidth]`, keys `[N, kvHeads, keyWidth]`, values `[N, kvHeads, valueWidth]`. */
  project(w: Weights, x: Tensor2D, rotation: Rotation): { q: Tensor3D; k: Tensor3D; v: Tensor3D };
  /** `[N, heads * valueWidth] -> [N, d]`, without the residual. */
  output(w: Weights, context: Tensor2D): Tensor2D;
}

/** Experts that may not be chosen in a layer (forced-expert audit), and how: selection score or router logit at minus infinity. */
export interface Forbidden {
  readonly experts: ReadonlySet<number>;
  readonly by: 'score' | 'logit';
  /** Experts that every token chooses, whatever their scores and groups; their gates come from their own scores as ever. */
  readonly forced?: ReadonlySet<number>;
}

export interface Router {
  /** `weight` and, where there is one, `bias`: what trains with the router. */
  readonly parts: Parts;
  /** e_score_correction_bias: takes part in the choice only, never trains. */
  readonly selectionBias?: TensorRef;
  readonly scoring: 'softmax' | 'sigmoid';
  readonly topK: number;
  /** Logits `[T, E]` for router inputs u `[T, d]`; a forbidden one is at minus infinity. */
  logits(w: Weights, u: Tensor2D, forbidden: Forbidden | null): Tensor2D;
  /** Affinity of every expert s `[T, E]`. */
  scores(logits: Tensor2D): Tensor2D;
  /** Chosen experts `[T, K]`, largest score first; ints, off the tape. `scores` `[T, E]`. */
  choose(scores: Float32Array, bias: Float32Array | null, forbidden: Forbidden | null): Int32Array;
  /** Weights `[T, K]` that multiply the chosen experts' outputs: renormalising and scaling of the family. */
  gates(logits: Tensor2D, scores: Tensor2D, choice: Int32Array, forbidden: Forbidden | null): Tensor2D;
}

export interface Moe {
  readonly kind: 'moe';
  readonly norm: Block;
  readonly router: Router;
  readonly experts: number;
  expert(index: number): Block;
  readonly shared: Block | null;
  /** Number of shared experts, for display (shared width / expert width where that is a whole number). */
  readonly sharedExperts: number;
}

export interface Dense {
  readonly kind: 'dense';
  readonly norm: Block;
  readonly block: Block;
}

export interface Layer {
  readonly attention: Attention;
  readonly feed: Moe | Dense;
}

export interface Shape {
  readonly layers: number;
  readonly moeLayers: readonly number[];
  readonly experts: number;
  readonly topK: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly maxPositions: number;
  /** rms_norm_eps. */
  readonly eps: number;
}

/** RMSNorm with a weight, or LayerNorm with weight and bias. */
export type NormKind = 'rms' | 'layer';

/** Tensor names of one checkpoint, with the leading "model." or without. */
export interface TensorNames {
  has(name: string): boolean;
  /** The name as stored; `name` itself where the checkpoint lacks it, so that the reader's message names it. */
  stored(name: string): string;
}

/** A family: one file, listed in families.ts. `C` is its checked config. */
export interface Family<C> {
  readonly id: string;
  readonly label: string;
  readonly help: string;
  readonly source: string;
  config(raw: Readonly<Record<string, unknown>>): Result<C>;
  shape(config: C): Shape;
  layer(config: C, index: number, names: TensorNames): Layer;
  /** Where its ends are not an RMSNorm and a head without bias. */
  ends?(config: C): { readonly norm: NormKind; readonly headBias: boolean };
}

/** What every family shares: embedding, final norm, head. */
export interface Ends {
  readonly embedding: TensorRef;
  readonly norm: Block;
  /** `[V, d]`; the embedding itself where they are tied. */
  readonly head: TensorRef;
  /** `[V]`. */
  readonly headBias?: TensorRef;
}
