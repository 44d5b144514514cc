/** LoRA's chain rule by itself: Adam does not see a wrong factor in a gradient. Steps with it are held to torch in golden-gradients.test.ts. */
import { expect } from 'chai';
import { openArchitecture } from '../../src/model/families';
import { parameterCounts } from '../../src/passes/model';
import { unwrap } from '../../src/protocol/fault';
import type { TensorRef } from '../../src/protocol/tensors';
import { initialLora, loraCount, loraParametrisation } from '../../src/unlearn/lora';
import { adaptedParts } from '../../src/unlearn/trained-units';
import { randomOf } from '../oracle/random';

const random = randomOf('lora');
const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
/** One weight by itself, and the two halves of an expert's fused one. */
const refs: TensorRef[] = [
  { name: 'q.weight', shape: [3, 4] },
  { name: 'experts.gate_up_proj', index: 1, rows: [0, 2], shape: [2, 5] },
  { name: 'experts.gate_up_proj', index: 1, rows: [2, 4], shape: [2, 5] },
];
const parts = refs.map((ref) => ({ ref }));
const base = new Map([
  ['q.weight', { shape: [3, 4], values: normals(12) }],
  ['experts.gate_up_proj[1]', { shape: [4, 5], values: normals(20) }],
]);

/** Published shapes of the paper's three models; what is left out has the family's default. */
const published = {
  'Qwen1.5-MoE-A2.7B': { config: { model_type: 'qwen2_moe', vocab_size: 151936, hidden_size: 2048 }, share: 0.89, paper: 0.87 },
  'DeepSeek-V2-Lite': {
    config: {
      model_type: 'deepseek_v2',
      vocab_size: 102400,
      hidden_size: 2048,
      intermediate_size: 10944,
      moe_intermediate_size: 1408,
      num_hidden_layers: 27,
      num_attention_heads: 16,
      num_key_value_heads: 16,
      n_shared_experts: 2,
      n_routed_experts: 64,
      num_experts_per_tok: 6,
      routed_scaling_factor: 1,
      kv_lora_rank: 512,
      q_lora_rank: null,
      qk_rope_head_dim: 64,
      qk_nope_head_dim: 128,
      v_head_dim: 128,
      topk_method: 'greedy',
      first_k_dense_replace: 1,
      n_group: 1,
      topk_group: 1,
    },
    share: 0.92,
    paper: 0.92,
  },
  'Mixtral-8x7B': { config: { model_type: 'mixtral' }, share: 0.26, paper: 0.26 },
} as const;

describe('LoRA', () => {
  for (const [name, { config, share, paper }] of Object.entries(published)) {
    it(`of rank 8 is ${share} % of ${name} (the paper's row: ${paper} %)`, () => {
      const model = unwrap(openArchitecture(config, { has: (tensor) => tensor === 'lm_head.weight', stored: (tensor) => tensor }));
      const adapted = adaptedParts(model, { experts: [{ layer: 1, expert: 0 }], train: { lora: { rank: 8, alpha: 16 } } }, false);
      expect(Number(((100 * loraCount(adapted, 8)) / parameterCounts(model).total).toFixed(2))).to.equal(share);
    });
  }

  const choice = { rank: 2, alpha: 6 };
  const lora = loraParametrisation(parts, base, choice);

  it('starts from the weights themselves, drawn from the seed alone', () => {
    const params = initialLora(parts, choice, 3);
    expect([...params.keys()]).to.deep.equal(lora.parameters.map(({ name }) => name));
    expect([...params.values()].reduce((sum, { length }) => sum + length, 0)).to.equal(loraCount(parts, 2));
    for (const [unit, { values }] of lora.overlay(params)) expect(values, unit).to.deep.equal(base.get(unit)?.values);
    expect(initialLora(parts, choice, 3)).to.deep.equal(params);
    expect(initialLora(parts, choice, 4)).to.not.deep.equal(params);
  });

  it('adds alpha / rank times B A, and its gradients are the derivatives of that', () => {
    const params = new Map(lora.parameters.map(({ name, shape }) => [name, normals(shape[0] * shape[1])]));
    const units = new Map([...base].map(([unit, { shape, values }]) => [unit, { shape, values: normals(values.length) }]));
    /** A linear function of the weights, whose gradient is `units`. */
    const value = (moved: ReadonlyMap<string, Float32Array>) =>
      [...lora.overlay(moved)].reduce(
        (sum, [unit, { values }]) => sum + values.reduce((own, weight, i) => own + weight * (units.get(unit)?.values[i] as number), 0),
        0,
      );
    const gradients = lora.gradients(units, params);
    expect([...gradients.keys()]).to.deep.equal(lora.parameters.map(({ name }) => name));
    for (const [name, { values }] of gradients) {
      for (const i of values.keys()) {
        const at = (offset: number) =>
          value(
            new Map(params).set(
              name,
              (params.get(name) as Float32Array).map((own, j) => (i === j ? own + offset : own)),
            ),
          );
        // Linear in each single parameter, so that a step of 1 is exact but for rounding to f32.
        expect(values[i], `${name} ${i}`).to.be.closeTo((at(1) - at(-1)) / 2, 1e-5 * (1 + Math.abs(values[i])));
      }
    }
    const q = lora.overlay(params).get('q.weight')?.values as Float32Array;
    const [a, b] = ['lora_A', 'lora_B'].map((half) => params.get(`q.weight.${half}`) as Float32Array);
    expect(q[4 + 3] - (base.get('q.weight')?.values[4 + 3] as number)).to.be.closeTo(3 * (b[2] * a[3] + b[3] * a[4 + 3]), 1e-5);
  });
});
