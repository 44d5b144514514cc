/** Packing: where every token of every sequence lies, what it sees, and what predicts it. */

import { expect } from 'chai';
import fc from 'fast-check';
import { scoreTargets } from '../../src/passes/head';
import { asStored } from '../../src/passes/model';
import { pack, type Span, spanMask, targetsOf } from '../../src/passes/packing';
import { sweepAll } from '../../src/passes/sweep';
import type { TokenSequence } from '../../src/protocol/sequences';
import { fast } from '../backends';
import { families } from '../oracle/config';
import { forward } from '../oracle/model';
import { randomOf } from '../oracle/random';
import { asSequence, seedWhere, withTiny } from './tiny-case';

/** A prompt with options, or plain text (no options). Target: every token of the options, or what the mask says. */
interface Drawn {
  readonly prompt: readonly number[];
  readonly options: readonly (readonly number[])[];
  readonly mask: readonly boolean[];
}

const tokens = (minLength: number, maxLength: number) => fc.array(fc.integer({ min: 0, max: 39 }), { minLength, maxLength });
const drawn: fc.Arbitrary<Drawn> = fc.record({
  prompt: tokens(1, 6),
  options: fc.oneof(fc.constant([]), fc.array(tokens(1, 4), { minLength: 1, maxLength: 4 })),
  mask: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
});

function sequenceOf({ prompt, options, mask }: Drawn, id: string): TokenSequence {
  const ids = Int32Array.from([...prompt, ...options.flat()]);
  const starts = options.map((_, i) => prompt.length + options.slice(0, i).flat().length);
  const targetMask = Uint8Array.from(ids, (_, t) => Number(options.length > 0 ? t >= prompt.length : t > 0 && mask[t]));
  return { id, ids, targetMask, ...(options.length > 0 ? { branches: starts } : {}), source: { file: 'drawn', line: 1 } };
}

/** Every way from the first token to the end of an option, as rows of the sequence. */
function paths({ prompt, options }: Drawn): number[][] {
  const trunk = prompt.map((_, t) => t);
  if (options.length === 0) return [trunk];
  let next = prompt.length;
  return options.map((option) => [...trunk, ...option.map(() => next++)]);
}

/** Row of a span's mask as the keys a query sees. */
function seen(span: Span, window: number | null, member: number, query: number): number[] {
  const { values, shape } = spanMask(span, window);
  const at = ((shape[0] === 1 ? 0 : member) * span.length + query) * span.length;
  return Array.from({ length: span.length }, (_, key) => key).filter((key) => values[at + key] === 0);
}

describe('packing', () => {
  it('puts every token at a row of its own and covers all rows with spans of equal sequences', () => {
    fc.assert(
      fc.property(fc.array(drawn, { maxLength: 8 }), (all) => {
        const sequences = all.map((one, i) => sequenceOf(one, String(i)));
        const batch = pack(sequences);
        expect(batch.tokens).to.equal(sequences.reduce((sum, { ids }) => sum + ids.length, 0));
        const owner = new Int32Array(batch.tokens).fill(-1);
        sequences.forEach(({ ids }, z) => {
          expect([...batch.ids.subarray(batch.offsets[z], batch.offsets[z] + ids.length)]).to.deep.equal([...ids]);
          for (let t = 0; t < ids.length; t++) {
            expect(owner[batch.offsets[z] + t], 'a row has one owner').to.equal(-1);
            owner[batch.offsets[z] + t] = z;
          }
        });
        let row = 0;
        for (const span of batch.spans) {
          expect(span.start).to.equal(row);
          for (let n = 0; n < span.count; n++) {
            const z = owner[row];
            expect(sequences[z].ids.length).to.equal(span.length);
            expect(batch.offsets[z]).to.equal(row);
            row += span.length;
          }
        }
        expect(row).to.equal(batch.tokens);
      }),
    );
  });

  it('an option sees its prompt and itself, at the positions it has alone, within the window', () => {
    fc.assert(
      fc.property(fc.array(drawn, { minLength: 1, maxLength: 6 }), fc.option(fc.integer({ min: 1, max: 5 })), (all, window) => {
        const batch = pack(all.map((one, i) => sequenceOf(one, String(i))));
        all.forEach((one, z) => {
          const span = batch.spans.find(({ start, count, length }) => batch.offsets[z] >= start && batch.offsets[z] < start + count * length) as Span;
          const member = (batch.offsets[z] - span.start) / span.length;
          for (const path of paths(one)) {
            path.forEach((row, position) => {
              expect(span.positions[member * span.length + row]).to.equal(position);
              expect(seen(span, window, member, row)).to.deep.equal(path.slice(window === null ? 0 : Math.max(0, position - window + 1), position + 1));
            });
          }
        });
      }),
    );
  });

  it('a target is predicted from the token before it on its way', () => {
    fc.assert(
      fc.property(fc.array(drawn, { maxLength: 6 }), (all) => {
        const sequences = all.map((one, i) => sequenceOf(one, String(i)));
        const batch = pack(sequences);
        const targets = targetsOf(batch);
        const expected = new Map<string, number>();
        all.forEach((one, z) => {
          paths(one).forEach((path, option) => {
            path.forEach((row, position) => {
              if (!sequences[z].targetMask[row]) return;
              const branch = one.options.length > 0 ? option + 1 : 0;
              expected.set([z, branch, batch.offsets[z] + path[position - 1], sequences[z].ids[row], row].join(), 1);
            });
          });
        });
        expect(targets.rows.length).to.equal(expected.size);
        const found = [...targets.rows].map((row, n) => [targets.sequence[n], targets.branch[n], row, targets.ids[n]].join());
        expect(found.sort()).to.deep.equal([...expected.keys()].map((key) => key.split(',').slice(0, 4).join()).sort());
      }),
    );
  });
});

describe('options that share their prompt', () => {
  for (const family of families) {
    it(`${family}: each has the log-probability it has alone`, () =>
      withTiny(
        family,
        seedWhere(family, ({ num_hidden_layers }) => num_hidden_layers >= 3, 20),
        fast,
        async ({ model, checkpoint }) => {
          const random = randomOf(`options ${family}`);
          const ids = (length: number) => Array.from({ length }, () => random.integer(3, model.shape.vocabSize - 1));
          const questions: Drawn[] = [5, 3, 5].map((length, i) => ({ prompt: ids(length), options: [1, 3, 2, 2].slice(i).map(ids), mask: [] }));
          const scoresOf = async (sequences: readonly TokenSequence[]) => {
            const batch = pack(sequences);
            const targets = targetsOf(batch);
            const { x } = await sweepAll(model, batch, asStored);
            const { logp } = await scoreTargets(model, x, targets.rows, targets.ids, asStored);
            const sums = new Map<string, number>();
            logp.forEach((value, n) => {
              const key = `${targets.sequence[n]} ${targets.branch[n]}`;
              sums.set(key, (sums.get(key) ?? 0) + value);
            });
            return sums;
          };
          const together = await scoresOf(questions.map((question, z) => sequenceOf(question, String(z))));
          for (const [z, { prompt, options }] of questions.entries()) {
            for (const [i, option] of options.entries()) {
              const alone = asSequence({
                ids: Int32Array.from([...prompt, ...option]),
                targetMask: Uint8Array.from([...prompt.map(() => 0), ...option.map(() => 1)]),
              });
              const own = (await scoresOf([alone])).get('0 0') as number;
              expect(together.get(`${z} ${i + 1}`)).to.be.closeTo(own, 1e-5 * Math.max(1, Math.abs(own)));
              const expected = -forward(checkpoint, alone.ids)
                .nll.slice(prompt.length)
                .reduce((sum, value) => sum + value, 0);
              expect(own).to.be.closeTo(expected, 1e-4);
            }
          }
        },
      ));
  }
});
