/** LoRA's chain rule by itself: Adam does not see a wrong factor in a gradient. Steps with it are held to torch in golden-gradients.test.ts. */
import { expect } from 'chai';
import type { TensorRef } from '../../src/protocol/tensors';
import { initialLora, loraCount, loraParametrisation } from '../../src/unlearn/lora';
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

describe('LoRA', () => {
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
