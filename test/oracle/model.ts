/** The forward pass of one sequence, in float64. */
import { groupedQueryAttention } from './attention';
import { type Checkpoint, partsOf } from './checkpoint';
import { denseFeedForward, mixture } from './experts';
import { add, layerNorm, linear, logSoftmax, type Matrix, rmsNorm } from './matrix';
import { latentAttention } from './mla';
import type { Forbidden, Routing } from './router';

export interface LayerRecord extends Routing {
  /** Router input, [tokens, hidden]. */
  readonly u: Matrix;
  /** Output of the mixture, shared experts included, [tokens, hidden]. */
  readonly moe_out: Matrix;
}

export interface Pass {
  readonly ids: ArrayLike<number>;
  /** [tokens, vocabulary] */
  readonly logits: Matrix;
  /** nll[t] = -log p(ids[t] | ids[<t]), nll[0] = 0. */
  readonly nll: Float64Array;
  /** Residual stream after each decoder layer, [layers][tokens, hidden]. */
  readonly hidden: readonly Matrix[];
  /** Mixture layers only, by layer number. */
  readonly layers: ReadonlyMap<number, LayerRecord>;
}

/** Chosen experts by layer number, per token. */
export type Choices = ReadonlyMap<number, readonly (readonly number[])[]>;

export interface ForwardOptions {
  readonly forbidden?: readonly Forbidden[];
  /** Choices to take instead of the router's: the loss is then smooth in the weights. */
  readonly choices?: Choices;
  /** A pass of a model that differs in this layer and above alone; what lies below is taken from it. */
  readonly from?: { readonly layer: number; readonly pass: Pass };
}

export const choicesOf = (pass: Pass): Choices => new Map([...pass.layers].map(([layer, record]) => [layer, record.topk_index]));

/** Distance of the closest decision of any router in these passes. */
export const selectionGap = (passes: readonly Pass[]): number => Math.min(...passes.flatMap((pass) => [...pass.layers.values()].map((record) => record.gap)));

export function forward(checkpoint: Checkpoint, ids: ArrayLike<number>, options: ForwardOptions = {}): Pass {
  const { config } = checkpoint;
  const model = partsOf(checkpoint, 'model.');
  const eps = config.rms_norm_eps;
  const normed = (x: Matrix, name: string): Matrix =>
    x.map((row) =>
      config.model_type === 'phimoe' ? layerNorm(row, model(`${name}.weight`), model(`${name}.bias`), eps) : rmsNorm(row, model(`${name}.weight`), eps),
    );
  const embedding = model('embed_tokens.weight');

  const first = options.from?.layer ?? 0;
  const hidden: Matrix[] = options.from?.pass.hidden.slice(0, first) ?? [];
  const layers = new Map<number, LayerRecord>([...(options.from?.pass.layers ?? [])].filter(([l]) => l < first));
  let x: Matrix = first > 0 ? hidden[first - 1] : Array.from(ids, (id) => embedding.values.subarray(id * config.hidden_size, (id + 1) * config.hidden_size));
  for (let l = first; l < config.num_hidden_layers; l++) {
    const attentionParts = partsOf(checkpoint, `model.layers.${l}.self_attn.`);
    const attentionInput = normed(x, `layers.${l}.input_layernorm`);
    const attended =
      config.model_type === 'deepseek_v2' || config.model_type === 'deepseek_v3'
        ? latentAttention(config, attentionParts, attentionInput)
        : groupedQueryAttention(config, attentionParts, attentionInput, config.windows[l]);
    x = add(x, attended);
    const u = normed(x, `layers.${l}.post_attention_layernorm`);
    if (config.moe[l]) {
      const forbidden = options.forbidden?.find(({ layer }) => layer === l);
      const { routing, moe_out } = mixture(checkpoint, l, u, forbidden, options.choices?.get(l));
      layers.set(l, { ...routing, u, moe_out });
      x = add(x, moe_out);
    } else {
      x = add(x, denseFeedForward(checkpoint, l, u));
    }
    hidden.push(x);
  }
  const ends = partsOf(checkpoint, '');
  const head = config.tie_word_embeddings ? embedding : ends('lm_head.weight');
  const logits = linear(normed(x, 'norm'), head, config.lm_head_bias ? ends('lm_head.bias') : undefined);
  const nll = Float64Array.from(ids, (id, t) => (t === 0 ? 0 : -logSoftmax(logits[t - 1])[id]));
  return { ids, logits, nll, hidden, layers };
}
