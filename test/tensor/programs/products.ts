/** Prints fingerprints of products on the backend and threads of its arguments. */
import { createHash } from 'node:crypto';
import { mlpBlock } from '../../../src/model/mlp';
import { unwrap } from '../../../src/protocol/fault';
import { backendInUse, closeBackend, openBackend } from '../../../src/tensor/backend';
import { inScope, read, upload, uploadMatrix } from '../../../src/tensor/host';
import { matMul, type Tensor } from '../../../src/tensor/tf';
import { randomOf } from '../../oracle/random';

export interface Products {
  readonly threads: number;
  readonly product: string;
  readonly transposed: string;
  /** Bits of the watched row among so many rows. */
  readonly expert: readonly { readonly size: string; readonly rows: number; readonly bits: string }[];
}

const hash = (values: Float32Array) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

async function main([name, threads]: readonly string[]): Promise<void> {
  unwrap(await openBackend(name, Number(threads)));
  const random = randomOf('products');
  const normal = (count: number) => Float32Array.from({ length: count }, random.normal);
  const [a, b, bT] = [normal(65 * 300), normal(300 * 130), normal(130 * 300)];
  const product = inScope(() => hash(read(matMul(uploadMatrix(a, 65, 300), uploadMatrix(b, 300, 130)))));
  const transposed = inScope(() => hash(read(matMul(uploadMatrix(a, 65, 300), uploadMatrix(bT, 130, 300), false, true))));

  // The larger one is beyond where libraries turn to another algorithm for a single row.
  const expert = [
    [72, 50],
    [2048, 256],
  ].flatMap(([d, m]) => {
    const block = mlpBlock('expert', { has: () => true, stored: (own) => own }, d, m);
    const weights = Object.fromEntries(Object.entries(block.parts).map(([part, { shape }]) => [part, { shape, values: normal(d * m) }]));
    const watched = normal(d);
    return [1, 2, 3, 4, 5, 7, 17, 48, 64, 400].flatMap((rows) =>
      // First, in the middle, last: a kernel may treat the rest of a block in another way.
      [...new Set([0, Math.floor(rows / 2), rows - 1])].map((at) => {
        const x = normal(rows * d);
        x.set(watched, at * d);
        const out = inScope(() => {
          const w: Record<string, Tensor> = Object.fromEntries(Object.entries(weights).map(([part, { shape, values }]) => [part, upload(values, shape)]));
          return read(block.run(w, uploadMatrix(x, rows, d)));
        });
        return { size: `${d}x${m}`, rows, bits: hash(out.slice(at * d, (at + 1) * d)) };
      }),
    );
  });
  const result: Products = { threads: backendInUse().threads, product, transposed, expert };
  process.stdout.write(JSON.stringify(result));
  closeBackend();
}

void main(process.argv.slice(2));
