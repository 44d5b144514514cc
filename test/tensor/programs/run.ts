/** Runs a program of this folder in a process of its own: the thread count and a heap that has grown last as long as a process. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Bundles `name`.ts beside the test bundle (the wasm files are there), runs it, and parses what it prints. */
export async function runProgram(name: string, args: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const bundle = path.join(__dirname, `${name}.js`);
  const source = path.join('test', 'tensor', 'programs', `${name}.ts`);
  await execute(process.execPath, [
    'node_modules/esbuild/bin/esbuild',
    source,
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--main-fields=module,main',
    '--alias:@tensorflow/tfjs=@tensorflow/tfjs-core',
    `--outfile=${bundle}`,
  ]);
  const { stdout } = await execute(process.execPath, [bundle, ...args], { maxBuffer: 2 ** 26, env: { ...process.env, ...environment } });
  return JSON.parse(stdout);
}
