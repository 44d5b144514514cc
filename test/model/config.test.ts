/** What config.json says where families differ from each other: defaults that mean something, and what is refused with one sentence. */
import { expect } from 'chai';
import { type Architecture, openArchitecture } from '../../src/model/families';
import type { TensorNames } from '../../src/model/family';
import { type Result, unwrap } from '../../src/protocol/fault';

const names: TensorNames = { has: () => false, stored: (name) => name };
const small = {
  hidden_size: 16,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  num_hidden_layers: 3,
  vocab_size: 11,
  head_dim: 8,
  max_position_embeddings: 64,
};
const opened = (type: string, fields: object): Result<Architecture> => openArchitecture({ model_type: type, ...small, ...fields }, names);
/** cos of position 1. */
const cosines = (type: string, fields: object): number[] => [...unwrap(opened(type, fields)).layers[0].attention.rope.rows(Int32Array.of(1)).cos];
const refused = (type: string, fields: object): string => {
  const result = opened(type, fields);
  if (result.ok) throw new Error('was opened');
  return result.fault.message;
};

describe('what config.json says', () => {
  it('gpt_oss: nothing said of rope is its own yarn, not the plain one; even layers slide', () => {
    const own = { rope_type: 'yarn', rope_theta: 150000, factor: 32, beta_fast: 32, beta_slow: 1, truncate: false, original_max_position_embeddings: 4096 };
    expect(cosines('gpt_oss', { rope_scaling: null })).to.deep.equal(cosines('gpt_oss', { rope_parameters: own }));
    expect(cosines('gpt_oss', {})).to.not.deep.equal(cosines('gpt_oss', { rope_parameters: { rope_type: 'default' } }));
    expect(unwrap(opened('gpt_oss', {})).layers.map(({ attention }) => attention.window)).to.deep.equal([128, null, 128]);
    expect(refused('gpt_oss', { layer_types: ['full_attention', 'chunked_attention', 'full_attention'] })).to.match(/layer_types has "chunked_attention"/);
    expect(refused('gpt_oss', { layer_types: ['full_attention'] })).to.match(/1 entries for 3 layers/);
  });

  it('gpt_oss: the released MXFP4 checkpoints are refused as quantised', () => {
    expect(refused('gpt_oss', { quantization_config: { quant_method: 'mxfp4' } })).to.equal('This checkpoint is quantised (mxfp4).');
  });

  it('glm4_moe: half of a head turns unless told otherwise, null is all of it, and the dictionary wins', () => {
    const turned = (fields: object) => 2 * cosines('glm4_moe', fields).length;
    expect(turned({})).to.equal(4);
    expect(turned({ partial_rotary_factor: null, rope_theta: 100 })).to.equal(8);
    expect(turned({ partial_rotary_factor: 0.5, rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.25 } })).to.equal(2);
    expect(refused('glm4_moe', { partial_rotary_factor: 0.4 })).to.match(/partial_rotary_factor turns 3 of a head's 8 places/);
  });

  it('phimoe: longrope needs its magnitudes and one divisor a pair; the dictionary’s original length wins', () => {
    const rope = {
      type: 'longrope',
      short_factor: [1, 2, 3, 4],
      long_factor: [5, 6, 7, 8],
      short_mscale: 1,
      long_mscale: 2,
      original_max_position_embeddings: 4,
    };
    const first = (fields: object, position: number) =>
      unwrap(opened('phimoe', fields)).layers[0].attention.rope.rows(Int32Array.from({ length: position + 1 }, (_, t) => t)).cos[0];
    expect([first({ rope_scaling: rope }, 3), first({ rope_scaling: rope }, 4)]).to.deep.equal([1, 2]);
    expect(first({ rope_scaling: rope, original_max_position_embeddings: 32 }, 4)).to.equal(2);
    expect(refused('phimoe', { rope_scaling: { ...rope, long_mscale: undefined } })).to.match(/"long_mscale" is missing/);
    expect(refused('phimoe', { rope_scaling: { ...rope, short_factor: [1, 2] } })).to.match(/short_factor and long_factor, 4 numbers/);
    expect(refused('phimoe', { rope_scaling: { type: 'yarn', factor: 4 } })).to.match(/rope type "yarn"/);
  });

  it('longrope of the other families takes the long divisors beyond the original length, for each sequence by itself', () => {
    const rope = {
      rope_type: 'longrope',
      rope_theta: 10000,
      short_factor: [1, 1, 1, 1],
      long_factor: [2, 2, 2, 2],
      attention_factor: 1,
      original_max_position_embeddings: 3,
    };
    const table = unwrap(opened('mixtral', { rope_parameters: rope })).layers[0].attention.rope;
    const { cos } = table.rows(Int32Array.of(0, 1, 2, 3, 0, 1, 2));
    const at = (row: number) => cos[row * 4];
    expect([at(1), at(5)].map((value) => Math.acos(value))).to.satisfy(([long, short]: number[]) => Math.abs(long - 0.5) < 1e-6 && Math.abs(short - 1) < 1e-6);
  });
});
