/** `node backend-trial.js NAME THREADS SECONDS [MANIFEST]`: starts a backend in this process and prints what came of it (a Trial). */
import { unwrap } from '../../protocol/fault';
import { openBackend } from '../backend';
import { gigaflops, productError } from '../self-test';
import type { NativeManifest } from './place';
import { startNative } from './tensorflow';
import type { Trial } from './trial';

async function main([name, threads, seconds, manifest]: readonly string[]): Promise<void> {
  const count = Number(threads);
  const tensorflow = manifest === undefined ? undefined : await startNative(JSON.parse(manifest) as NativeManifest, count);
  const used = tensorflow?.threads ?? unwrap(await openBackend(name, count)).threads;
  const trial: Trial = {
    threads: used,
    error: productError(),
    gigaflops: await gigaflops(Number(seconds)),
    ...(name === 'tensorflow' ? { bf16Gigaflops: await gigaflops(Number(seconds) / 2, { precision: 'fast' }) } : {}),
    ...(tensorflow ? { tensorflow: { version: tensorflow.version, gpu: tensorflow.gpu } } : {}),
  };
  process.stdout.write(JSON.stringify(trial), () => process.exit(0));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`, () => process.exit(1));
});
