// A random OLMoE checkpoint of many small experts, to measure what grows with their number, and prompts of random tokens for it.
import fs from 'node:fs';
import path from 'node:path';

const hidden = 64;
const inner = 32;
const vocabulary = 512;

/** Numbers in [-0.05, 0.05) from the multiples of the golden ratio: no two runs of the bench differ. */
function* values() {
  for (let i = 1; ; i++) yield ((i * 0.6180339887498949) % 1) * 0.1 - 0.05;
}

export function writeWideModel(folder, { layers, experts, prompts = 64, tokens = 64 }) {
  fs.mkdirSync(folder, { recursive: true });
  const config = {
    architectures: ['OlmoeForCausalLM'],
    model_type: 'olmoe',
    hidden_act: 'silu',
    attention_bias: false,
    clip_qkv: null,
    hidden_size: hidden,
    intermediate_size: inner,
    max_position_embeddings: 512,
    norm_topk_prob: false,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    num_experts: experts,
    num_experts_per_tok: 8,
    num_hidden_layers: layers,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: false,
    torch_dtype: 'float32',
    vocab_size: vocabulary,
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 1,
  };
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config, null, 1));
  const shapes = [['model.embed_tokens.weight', [vocabulary, hidden]]];
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}.`;
    for (const name of ['q_proj', 'k_proj', 'v_proj', 'o_proj']) shapes.push([`${at}self_attn.${name}.weight`, [hidden, hidden]]);
    for (const name of ['self_attn.q_norm', 'self_attn.k_norm', 'input_layernorm', 'post_attention_layernorm']) shapes.push([`${at}${name}.weight`, [hidden]]);
    shapes.push([`${at}mlp.gate.weight`, [experts, hidden]]);
    for (let expert = 0; expert < experts; expert++) {
      const own = `${at}mlp.experts.${expert}.`;
      shapes.push([`${own}gate_proj.weight`, [inner, hidden]], [`${own}up_proj.weight`, [inner, hidden]], [`${own}down_proj.weight`, [hidden, inner]]);
    }
  }
  shapes.push(['model.norm.weight', [hidden]], ['lm_head.weight', [vocabulary, hidden]]);
  const header = {};
  let offset = 0;
  for (const [name, shape] of shapes) {
    const bytes = 4 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const data = new Float32Array(offset / 4);
  const next = values();
  for (let i = 0; i < data.length; i++) data[i] = next.next().value;
  for (const [name, shape] of shapes) if (shape.length === 1) data.fill(1, header[name].data_offsets[0] / 4, header[name].data_offsets[1] / 4);
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  fs.writeFileSync(path.join(folder, 'model.safetensors'), Buffer.concat([length, json, Buffer.from(data.buffer)]));
  const row = (at) => JSON.stringify({ input_ids: Array.from({ length: tokens }, (_, t) => 3 + ((at * 7919 + t * 104729) % (vocabulary - 3))) });
  fs.writeFileSync(path.join(folder, 'prompts.jsonl'), `${Array.from({ length: prompts }, (_, at) => row(at)).join('\n')}\n`);
}
