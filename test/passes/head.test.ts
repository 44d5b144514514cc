/** The head against float64: one slice of the vocabulary or several, own weights or the embedding's. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { klDivergence, logitsAt, pullBackTargets, scoreTargets } from '../../src/passes/head';
import { asStored, type OpenModel, openModel } from '../../src/passes/model';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { backends } from '../backends';
import { completeConfig } from '../oracle/config';
import { linear, logSoftmax, rmsNorm } from '../oracle/matrix';
import { randomOf } from '../oracle/random';
import type { OracleTensor } from '../oracle/safetensors';
import { tinyCheckpoint, tinyConfig, tinyWeights } from '../oracle/tiny';
import { closeGolden, maxDifference } from './golden-case';
import { withTiny } from './tiny-case';

const rows = Int32Array.of(0, 4, 1, 4, 3);
const tokens = 6;

/** Slices have at most 2^14 rows (head.ts). */
const vocabularies = { 'one slice': 50, 'three slices': 2 * 2 ** 14 + 7 };

for (const backend of backends) {
  for (const [slices, vocabulary] of Object.entries(vocabularies)) {
    for (const tied of [false, true]) {
      describe(`head of ${slices}${tied ? ', tied' : ''} on ${backend}`, () => {
        let folder: string;
        let model: OpenModel;
        let weights: Map<string, OracleTensor>;
        let eps: number;
        const random = randomOf(`head ${vocabulary}`);
        let x: Float32Array;
        let original: Float32Array;
        const ids = Int32Array.of(0, vocabulary - 1, 7, 30, Math.floor(vocabulary / 2));

        /** Log-probabilities at a row of a stream. */
        const distribution = (stream: ArrayLike<number>, row: number): Float64Array => {
          const d = model.shape.hiddenSize;
          const own = Float64Array.from({ length: d }, (_, i) => stream[row * d + i]);
          const head = weights.get(tied ? 'model.embed_tokens.weight' : 'lm_head.weight') as OracleTensor;
          return logSoftmax(linear([rmsNorm(own, weights.get('model.norm.weight') as OracleTensor, eps)], head)[0]);
        };

        /** Gradient of `value` for the stream at some places, by central differences. */
        function expectGradient(own: Float32Array, value: (stream: Float64Array) => number): void {
          const d = model.shape.hiddenSize;
          const exact = Float64Array.from(x);
          const largest = own.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0);
          expect(own.length).to.equal(x.length);
          for (const place of [0, 1, d - 1, d + 3, 3 * d, 4 * d + 2, 5 * d - 1]) {
            const at = (offset: number) => value(exact.map((one, i) => (i === place ? one + offset : one)));
            expect(own[place], `slope ${place}`).to.be.closeTo((at(1e-5) - at(-1e-5)) / 2e-5, 1e-4 * largest);
          }
          expect(
            [...own.subarray(2 * d, 3 * d), ...own.subarray(5 * d)].every((slope) => slope === 0),
            'rows without a target',
          ).to.equal(true);
        }

        before(async () => {
          unwrap(await openBackend(backend, 1));
          folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-head-'));
          const raw = {
            ...tinyConfig('mixtral', randomOf('head')),
            vocab_size: vocabulary,
            tie_word_embeddings: tied,
            torch_dtype: 'float32',
            dtype: 'float32',
          };
          const config = completeConfig(raw);
          eps = config.rms_norm_eps;
          weights = new Map(
            [...tinyWeights(config, 'separate', random)].map(([name, { shape, values }]) => [name, { shape, values: values.map(Math.fround) }]),
          );
          tinyCheckpoint(folder, raw, weights, false);
          model = unwrap(openModel(unwrap(await openCheckpoint(folder)), 2 ** 30));
          const stream = () => Float32Array.from({ length: tokens * model.shape.hiddenSize }, random.normal);
          x = stream();
          original = stream();
        });
        after(async () => {
          await closeGolden({ model });
          fs.rmSync(folder, { recursive: true, force: true });
        });

        it('log-probabilities, normalisers, most probable tokens, logits', async () => {
          const { logp, logSumExp, argmax } = await scoreTargets(model, x, rows, ids, asStored, { argmax: true });
          const logits = await logitsAt(model, x, rows, asStored);
          expect(logits.length).to.equal(rows.length * vocabulary);
          rows.forEach((row, n) => {
            const expected = distribution(x, row);
            expect(logp[n]).to.be.closeTo(expected[ids[n]], 1e-5 * Math.max(1, Math.abs(expected[ids[n]])));
            expect(argmax?.[n]).to.equal(expected.indexOf(expected.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)));
            const own = logits.subarray(n * vocabulary, (n + 1) * vocabulary);
            expect(
              maxDifference(
                own.map((value) => value - logSumExp[n]),
                expected,
              ),
            ).to.be.at.most(1e-4);
          });
        });

        it('gradient of weighted log-probabilities', async () => {
          const coefficient = Float64Array.of(0.5, -2, 1, 3, 0.25);
          const { logSumExp } = await scoreTargets(model, x, rows, ids, asStored);
          const own = await pullBackTargets(model, x, rows, ids, coefficient, logSumExp, asStored);
          expectGradient(own, (stream) => rows.reduce((sum, row, n) => sum + coefficient[n] * distribution(stream, row)[ids[n]], 0));
        });

        it('KL(original || current) and its gradient', async () => {
          const each = Int32Array.of(0, 1, 3, 4);
          const coefficient = 0.7;
          const kl = await klDivergence(model, x, original, each, coefficient, asStored);
          const before = Array.from({ length: tokens }, (_, row) => distribution(original, row));
          const divergence = (stream: ArrayLike<number>, row: number) => {
            const now = distribution(stream, row);
            return before[row].reduce((sum, logThen, v) => sum + Math.exp(logThen) * (logThen - now[v]), 0);
          };
          for (const [n, row] of each.entries()) expect(kl.perRow[n]).to.be.closeTo(divergence(x, row), 1e-4 * divergence(x, row));
          expect(kl.value).to.be.closeTo(coefficient * kl.perRow.reduce((sum, one) => sum + one, 0), 1e-12);
          expectGradient(await kl.pullBack(), (stream) => coefficient * each.reduce((sum, row) => sum + divergence(stream, row), 0));
          const same = await klDivergence(model, x, x, each, 1, asStored);
          expect(Math.max(...same.perRow.map(Math.abs))).to.be.at.most(1e-6);
        });
      });
    }
  }
}

describe('head of one slice', () => {
  it('gradient from kept logits is, to the bit, that from logits made again, past one block of rows too', () =>
    withTiny('mixtral', 1, 'wasm', async ({ model }) => {
      const many = 1100;
      const { hiddenSize, vocabSize } = model.shape;
      const stream = Float32Array.from({ length: many * hiddenSize }, (_, i) => Math.sin(i * 0.7) * 2);
      const every = Int32Array.from({ length: many }, (_, row) => row);
      const tokensOf = every.map((row) => (row * 7) % vocabSize);
      const weights = Float64Array.from(every, (row) => Math.cos(row));
      const { logits, logSumExp } = await scoreTargets(model, stream, every, tokensOf, asStored, { logits: true });
      expect(logits).to.have.length(many * vocabSize);
      const kept = await pullBackTargets(model, stream, every, tokensOf, weights, logSumExp, asStored, logits);
      const again = await pullBackTargets(model, stream, every, tokensOf, weights, logSumExp, asStored);
      expect(Buffer.from(kept.buffer).equals(Buffer.from(again.buffer))).to.equal(true);
    }));
});
