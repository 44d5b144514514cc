/** The grid of the rounding audits, against values worked out by hand. */
import path from 'node:path';
import { expect } from 'chai';
import { roundGroups, roundingTo } from '../../src/audit/rounding';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { openModel } from '../../src/passes/model';
import { unwrap } from '../../src/protocol/fault';
import { unitName } from '../../src/protocol/tensors';

const rounded = (values: readonly number[], inputs: number, bits: number, group?: number): number[] => {
  const own = Float32Array.from(values);
  roundGroups(own, [values.length / inputs, inputs], bits, { group });
  return Array.from(own);
};
const f = Math.fround;

describe('rounding to nearest', () => {
  it('4 bit: the largest weight of a group is 7 steps, halves go to the even step, signs are kept', () => {
    // 7 steps of 0.5: 0.25 and 0.75 lie half-way and go to 0 and 2 steps, 1.25 and -1.25 to 2.
    expect(rounded([3.5, 0.25, 0.75, -1.25, 1.25, 0.3, -0.2, 0], 8, 4)).to.deep.equal([3.5, 0, 1, -1, 1, 0.5, 0, 0]);
  });

  it('8 bit: 127 steps', () => {
    const step = f(1 / 127);
    expect(rounded([1, 0.5, -0.004, 0.0039], 4, 8)).to.deep.equal([f(127 * step), f(64 * step), f(-step), 0].map((value) => (value === 0 ? 0 : value)));
  });

  it('every output has its own scales, one for each group of its inputs; a last group may be shorter', () => {
    // Two outputs of five inputs in groups of 3: (7, 1.4, 0.6) (0.7, 0.06) and (0, 0, 0) (70, 4).
    expect(rounded([7, 1.4, 0.6, 0.7, 0.06, 0, 0, 0, 70, 4], 5, 4, 3)).to.deep.equal([7, 1, 1, 0.7, 0.1, 0, 0, 0, 70, 0].map(f));
  });

  it('groups are of inputs, however the matrix lies', () => {
    const outputsFirst = [7, 1.4, 0.6, 0.7, 0.06, 0, 0, 0, 70, 4];
    const turned = Float32Array.from({ length: 10 }, (_, i) => outputsFirst[(i % 2) * 5 + Math.floor(i / 2)]);
    roundGroups(turned, [5, 2], 4, { group: 3, inputsFirst: true });
    const expected = rounded(outputsFirst, 5, 4, 3);
    expect(Array.from(turned)).to.deep.equal(Array.from({ length: 10 }, (_, i) => expected[(i % 2) * 5 + Math.floor(i / 2)]));
  });

  for (const [name, gate, others] of [
    ['golden/qwen2_moe', 'mlp.gate.weight', ['mlp.shared_expert_gate.weight', 'post_attention_layernorm.weight', 'self_attn.q_proj.bias']],
    ['variants/gpt_oss', 'mlp.router.weight', ['mlp.experts.down_proj_bias[0]', 'post_attention_layernorm.weight', 'self_attn.sinks']],
  ] as const) {
    it(`${name}: linear weights, not routers, norms, biases, embedding or head`, async () => {
      const checkpoint = unwrap(await openCheckpoint(path.resolve('test/fixtures', name)));
      const model = unwrap(openModel(checkpoint, 2 ** 30));
      const rounding = roundingTo(4, model);
      const layer = model.shape.moeLayers[0];
      for (const own of [gate, ...others]) expect(rounding.has(`model.layers.${layer}.${own}`), own).to.equal(false);
      for (const own of ['model.embed_tokens.weight', 'lm_head.weight', 'model.norm.weight']) expect(rounding.has(own), own).to.equal(false);
      const { feed, attention } = model.layers[layer];
      if (feed.kind !== 'moe') throw new Error('no experts');
      const matrices = [...Object.values(feed.expert(0).parts), ...Object.values(attention.parts)].filter(({ shape }) => shape.length === 2);
      expect(matrices.length).to.be.at.least(6);
      for (const ref of matrices) expect(rounding.has(unitName(ref)), unitName(ref)).to.equal(true);
      // gpt-oss has its experts' inputs first: one large input raises the scale of its outputs' group, not that of the input's own row.
      const values = Float32Array.from([7, 0.4, 0, 0.4]);
      rounding.round(values, { ...Object.values(feed.expert(0).parts)[0], shape: [2, 2] });
      expect(Array.from(values)).to.deep.equal(name.includes('gpt_oss') ? [7, f(7 * f(0.4 / 7)), 0, f(7 * f(0.4 / 7))] : [7, 0, 0, f(7 * f(0.4 / 7))]);
      model.weights.close();
      await checkpoint.close();
    });
  }

  it('is its own fixed point', () => {
    const once = rounded(
      Array.from({ length: 300 }, (_, i) => Math.sin(i * i)),
      150,
      4,
    );
    expect(rounded(once, 150, 4)).to.deep.equal(once);
  });
});
