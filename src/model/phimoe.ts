/** PhiMoE (Phi-3.5-MoE): LayerNorm with biases, SparseMixer router with two experts, LongRoPE, every layer is MoE. */
import { refuse, unwrap } from '../protocol/fault';
import { type ConfigFields, checkSizes, layersWhere, readConfig } from './config';
import type { Family } from './family';
import { expertBlock } from './mlp';
import { normOf } from './norm';
import { type RopeTable, ropeSettings, ropeTable } from './rope';
import { selfAttention } from './self-attention';
import { sparseMixer } from './sparse-mixer';

interface Config {
  readonly layers: number;
  readonly d: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly m: number;
  readonly jitter: number;
  readonly window: number | null;
  readonly bias: boolean;
  readonly headBias: boolean;
  readonly eps: number;
  readonly vocab: number;
  readonly maxPositions: number;
  readonly rope: RopeTable;
}

/**
 * The magnitude is short_mscale or long_mscale, by the sequence's length. transformers 5.23 divides the frequencies by short_factor at every
 * length (its rotary embedding works them out without the length); so does this, which its exports are held to.
 */
function phimoeRope(c: ConfigFields, headDim: number, maxPositions: number): RopeTable {
  const settings = ropeSettings(c.raw, headDim, maxPositions, 1e6);
  const { type, values } = settings;
  if (type === 'default') return unwrap(ropeTable(settings));
  if (type !== 'longrope') return refuse('unsupported', `config.json asks for rope type "${type}".`, 'PhiMoE has default and longrope.');
  const magnitude = (name: string): number => {
    const value = values[name];
    return typeof value === 'number'
      ? value
      : refuse(
          'bad-file',
          `config.json: longrope's "${name}" is ${JSON.stringify(value) ?? 'missing'}, expected a number.`,
          'Check that config.json belongs to this checkpoint.',
        );
  };
  const [short, long] = [magnitude('short_mscale'), magnitude('long_mscale')];
  const inner = values.original_max_position_embeddings;
  return unwrap(
    ropeTable(typeof inner === 'number' ? { ...settings, values: { ...values, original: inner } } : settings, ({ inverse, beyond }) => ({
      inverse,
      attention: short,
      ...(beyond ? { beyond: { inverse, attention: long, original: beyond.original } } : {}),
    })),
  );
}

export const phimoe: Family<Config> = {
  id: 'phimoe',
  label: 'Phi-3.5-MoE',
  help: 'SparseMixer router: two experts, each with its share among those near it; LayerNorm, no shared expert.',
  source: 'arXiv 2404.14219 and 2409.12136; transformers models/phimoe',
  config: (raw) =>
    readConfig(raw, (c) => {
      const d = c.int('hidden_size', 4096);
      const heads = c.int('num_attention_heads', 32);
      const kvHeads = c.intOrNull('num_key_value_heads', 8) ?? heads;
      const headDim = c.int('head_dim', Math.floor(d / heads));
      const experts = c.int('num_local_experts', 16);
      const layers = c.int('num_hidden_layers', 32);
      const maxPositions = c.int('max_position_embeddings', 131072);
      checkSizes({ heads, kvHeads, experts, topK: 2, layers, d });
      return {
        layers,
        d,
        heads,
        kvHeads,
        headDim,
        experts,
        m: c.int('intermediate_size', 6400),
        jitter: c.float('router_jitter_noise', 0.01),
        window: c.intOrNull('sliding_window', null),
        bias: c.flag('attention_bias', false),
        headBias: c.flag('lm_head_bias', false),
        eps: c.float('rms_norm_eps', 1e-5),
        vocab: c.int('vocab_size', 32064),
        maxPositions,
        rope: phimoeRope(c, headDim, maxPositions),
      };
    }),
  shape: (c) => ({
    layers: c.layers,
    moeLayers: layersWhere(c.layers, () => true),
    experts: c.experts,
    topK: 2,
    hiddenSize: c.d,
    vocabSize: c.vocab,
    maxPositions: c.maxPositions,
    eps: c.eps,
  }),
  ends: (c) => ({ norm: 'layer', headBias: c.headBias }),
  layer(c, index, names) {
    const prefix = `model.layers.${index}`;
    // Published: block_sparse_moe.gate with w1, w3, w2; in memory: mlp.router with stacked experts. Any mixture of the two loads.
    const stands = (moe: string) => names.has(`${moe}.gate.weight`) || names.has(`${moe}.router.weight`);
    const moe = stands(`${prefix}.block_sparse_moe`) ? `${prefix}.block_sparse_moe` : `${prefix}.mlp`;
    const gate = names.has(`${moe}.gate.weight`) ? 'gate' : 'router';
    return {
      attention: selfAttention(
        {
          prefix,
          d: c.d,
          heads: c.heads,
          kvHeads: c.kvHeads,
          headDim: c.headDim,
          eps: c.eps,
          norm: 'layer',
          rope: c.rope,
          window: c.window,
          bias: { qkv: c.bias, output: c.bias },
          queryKeyNorm: 'none',
          clip: null,
        },
        names,
      ),
      feed: {
        kind: 'moe',
        norm: normOf('layer', `${prefix}.post_attention_layernorm`, names, c.d, c.eps),
        router: sparseMixer({ weight: { name: names.stored(`${moe}.${gate}.weight`), shape: [c.experts, c.d] }, experts: c.experts, jitter: c.jitter }),
        experts: c.experts,
        expert: (e) => expertBlock(`${moe}.experts`, e, names, c.d, c.m, { gate: 'w1', up: 'w3', down: 'w2' }),
        shared: null,
        sharedExperts: 0,
      },
    };
  },
};
