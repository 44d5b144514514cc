/** The families UOE reads. Adding one: its file, and one line in the list below. */
import type { Descriptor } from '../protocol/catalogue';
import { fail, ok, type Result } from '../protocol/fault';
import type { TensorRef } from '../protocol/tensors';
import { deepseekV2 } from './deepseek-v2';
import { deepseekV3 } from './deepseek-v3';
import type { Ends, Family, Layer, NormKind, Shape, TensorNames } from './family';
import { glm4Moe } from './glm4-moe';
import { gptOss } from './gpt-oss';
import { mixtral } from './mixtral';
import { normOf } from './norm';
import { olmoe } from './olmoe';
import { phimoe } from './phimoe';
import { qwen2Moe } from './qwen2-moe';
import { qwen3Moe } from './qwen3-moe';

const opened = <C>(family: Family<C>, raw: Readonly<Record<string, unknown>>, names: TensorNames): Result<Architecture> => {
  const config = family.config(raw);
  if (!config.ok) return config;
  const shape = family.shape(config.value);
  if (shape.moeLayers.length === 0) {
    return fail('unsupported', `config.json of family ${family.id} describes no Mixture-of-Experts layer.`, 'A dense model has no experts to edit.');
  }
  return ok({
    family: family.id,
    shape,
    layers: Array.from({ length: shape.layers }, (_, l) => family.layer(config.value, l, names)),
    ends: endsOf(raw, shape, names, family.ends?.(config.value)),
  });
};

/** Families by model_type. */
const families: Readonly<
  Record<string, { descriptor: Descriptor; open: (raw: Readonly<Record<string, unknown>>, names: TensorNames) => Result<Architecture> }>
> = Object.fromEntries(
  [mixtral, qwen2Moe, qwen3Moe, olmoe, deepseekV2, deepseekV3, phimoe, glm4Moe, gptOss].map((family) => [
    family.id,
    {
      descriptor: { id: family.id, label: family.label, help: family.help, source: family.source, needs: [] },
      open: (raw: Readonly<Record<string, unknown>>, names: TensorNames) => opened(family as Family<unknown>, raw, names),
    },
  ]),
);

/** A model's structure: every piece with the names of its weights. */
export interface Architecture {
  readonly family: string;
  readonly shape: Shape;
  readonly layers: readonly Layer[];
  readonly ends: Ends;
}

function endsOf(raw: Readonly<Record<string, unknown>>, shape: Shape, names: TensorNames, own: { norm: NormKind; headBias: boolean } | undefined): Ends {
  const { vocabSize: V, hiddenSize: d, eps } = shape;
  const embedding: TensorRef = { name: names.stored('model.embed_tokens.weight'), shape: [V, d] };
  // Tied, yet a head of its own in the file: transformers uses the file's.
  const tied = raw.tie_word_embeddings === true && !names.has('lm_head.weight');
  return {
    embedding,
    norm: normOf(own?.norm ?? 'rms', 'model.norm', names, d, eps),
    head: tied ? embedding : { name: 'lm_head.weight', shape: [V, d] },
    ...(own?.headBias ? { headBias: { name: 'lm_head.bias', shape: [V] } } : {}),
  };
}

export const familyDescriptors: readonly Descriptor[] = Object.values(families).map((family) => family.descriptor);

/** The architecture config.json describes; a sentence for other model types, quantised and dense checkpoints. */
export function openArchitecture(raw: unknown, names: TensorNames): Result<Architecture> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    return fail('bad-file', 'config.json is not a JSON object.', 'Check that it belongs to this checkpoint.');
  const config = raw as Readonly<Record<string, unknown>>;
  const known = Object.keys(families).join(', ');
  if (config.quantization_config !== undefined && config.quantization_config !== null) {
    const method = (config.quantization_config as { quant_method?: unknown }).quant_method;
    return fail(
      'unsupported',
      `This checkpoint is quantised (${typeof method === 'string' ? method : 'quantization_config in config.json'}).`,
      'Open the unquantised checkpoint (F32, F16 or BF16) it was made from.',
    );
  }
  const type = config.model_type;
  if (typeof type !== 'string') return fail('bad-file', 'config.json has no "model_type".', `UOE reads ${known}.`);
  const family = Object.hasOwn(families, type) ? families[type] : undefined;
  if (family) return family.open(config, names);
  const experts = ['num_experts', 'num_local_experts', 'n_routed_experts', 'moe_intermediate_size'].some((name) => config[name] !== undefined);
  return experts
    ? fail('unsupported', `config.json says model_type "${type}", a Mixture-of-Experts family UOE does not read yet.`, `Supported: ${known}.`)
    : fail('unsupported', `config.json says model_type "${type}", which has no experts.`, `UOE edits one expert of a Mixture-of-Experts model: ${known}.`);
}
