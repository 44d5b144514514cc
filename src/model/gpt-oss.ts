/** gpt-oss: attention sinks, sliding windows in turns, router with a bias, clamped experts with biases stored in one piece; every layer is MoE. */
import { refuse, unwrap } from '../protocol/fault';
import { clampedExpertBlock } from './clamped-mlp';
import { checkSizes, layersWhere, type RawConfig, readConfig } from './config';
import type { Family } from './family';
import { normBlock } from './norm';
import { type RopeTable, ropeSettings, ropeTable } from './rope';
import { router } from './router';
import { selfAttention } from './self-attention';

interface Config {
  readonly layers: number;
  readonly d: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly topK: number;
  readonly m: number;
  readonly alpha: number;
  readonly limit: number;
  readonly window: (layer: number) => number | null;
  readonly bias: boolean;
  readonly eps: number;
  readonly vocab: number;
  readonly maxPositions: number;
  readonly rope: RopeTable;
}

/** The family's own where config.json says nothing of rope but its theta. */
const ownRope = { rope_type: 'yarn', factor: 32, beta_fast: 32, beta_slow: 1, truncate: false, original_max_position_embeddings: 4096 };
const saysRope = (raw: RawConfig) => (typeof raw.rope_parameters === 'object' && raw.rope_parameters !== null) || Boolean(raw.rope_scaling);

export const gptOss: Family<Config> = {
  id: 'gpt_oss',
  label: 'gpt-oss',
  help: 'Attention sinks and sliding windows, softmax router with a bias, gates renormalised over the top K, clamped experts with biases, no shared expert.',
  source: 'arXiv 2508.10925; transformers models/gpt_oss',
  config: (raw) =>
    readConfig(raw, (c) => {
      const d = c.int('hidden_size', 2880);
      const heads = c.int('num_attention_heads', 64);
      const kvHeads = c.intOrNull('num_key_value_heads', 8) ?? heads;
      const headDim = c.int('head_dim', 64);
      const experts = c.int(['num_local_experts', 'num_experts'], 128);
      const topK = c.int('num_experts_per_tok', 4);
      const layers = c.int('num_hidden_layers', 36);
      const maxPositions = c.int('max_position_embeddings', 131072);
      checkSizes({ heads, kvHeads, experts, topK, layers, d });
      const width = c.intOrNull('sliding_window', 128);
      const types = c.texts('layer_types');
      const strange = types?.find((type) => type !== 'sliding_attention' && type !== 'full_attention');
      if (strange !== undefined) refuse('unsupported', `config.json: layer_types has "${strange}".`, 'gpt-oss has sliding_attention and full_attention.');
      if (types && types.length < layers)
        refuse('bad-file', `config.json: layer_types has ${types.length} entries for ${layers} layers.`, 'Check that config.json belongs to this checkpoint.');
      const slides = (layer: number) => (types ? types[layer] === 'sliding_attention' : layer % 2 === 0);
      return {
        layers,
        d,
        heads,
        kvHeads,
        headDim,
        experts,
        topK,
        m: c.int('intermediate_size', 2880),
        alpha: c.float('swiglu_alpha', 1.702),
        limit: c.float('swiglu_limit', 7),
        window: (layer) => (slides(layer) ? width : null),
        bias: c.flag('attention_bias', true),
        eps: c.float('rms_norm_eps', 1e-5),
        vocab: c.int('vocab_size', 201088),
        maxPositions,
        rope: unwrap(ropeTable(ropeSettings(saysRope(raw) ? raw : { ...raw, rope_parameters: ownRope }, headDim, maxPositions, 150000))),
      };
    }),
  shape: (c) => ({
    layers: c.layers,
    moeLayers: layersWhere(c.layers, () => true),
    experts: c.experts,
    topK: c.topK,
    hiddenSize: c.d,
    vocabSize: c.vocab,
    maxPositions: c.maxPositions,
    eps: c.eps,
  }),
  layer(c, index, names) {
    const prefix = `model.layers.${index}`;
    return {
      attention: selfAttention(
        {
          prefix,
          d: c.d,
          heads: c.heads,
          kvHeads: c.kvHeads,
          headDim: c.headDim,
          eps: c.eps,
          rope: c.rope,
          window: c.window(index),
          bias: { qkv: c.bias, output: c.bias },
          queryKeyNorm: 'none',
          clip: null,
          sinks: true,
        },
        names,
      ),
      feed: {
        kind: 'moe',
        norm: normBlock({ name: names.stored(`${prefix}.post_attention_layernorm.weight`), shape: [c.d] }, c.eps),
        router: router({
          weight: { name: names.stored(`${prefix}.mlp.router.weight`), shape: [c.experts, c.d] },
          bias: { name: names.stored(`${prefix}.mlp.router.bias`), shape: [c.experts] },
          experts: c.experts,
          topK: c.topK,
          scoring: 'softmax',
          renormalise: true,
        }),
        experts: c.experts,
        expert: (e) => clampedExpertBlock(`${prefix}.mlp.experts`, e, names, { d: c.d, m: c.m, alpha: c.alpha, limit: c.limit }),
        shared: null,
        sharedExperts: 0,
      },
    };
  },
};
