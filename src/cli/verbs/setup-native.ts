import { createInterface } from 'node:readline/promises';
import { Option } from 'commander';
import type { NativePlan } from '../../protocol/engine';
import { refuse } from '../../protocol/fault';
import { bytes } from '../../protocol/numbers';
import { pairs } from '../pairs';
import { verb } from '../verb';

interface Own {
  readonly gpu?: boolean;
  readonly remove?: boolean;
  readonly yes?: boolean;
}

function planText({ folder, present, inPlace, fetch }: NativePlan): string {
  const has = present ? `TensorFlow ${present.tensorflow}${present.gpu ? ' with CUDA' : ''} is set up in ${folder}. ` : '';
  if (inPlace !== null) return `${has}The TensorFlow in ${inPlace} is used in place; an addon of 0.1 MB is compiled for it into ${folder}.`;
  if (fetch === null) return `${has}TensorFlow was fetched before; an addon is compiled for it into ${folder}.`;
  return `${has}${fetch.what}: ${bytes(fetch.bytes)} to fetch with pip, ${bytes(fetch.kept)} kept in ${folder}. "uoe setup-native --remove" undoes it.`;
}

/** Asks on a terminal; without one nothing is fetched unasked. */
async function agreed(signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    return refuse('usage', 'Nothing was fetched: there is no terminal to ask on.', 'Say --yes to agree.');
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question('Go on? [y/N] ', { signal })).trim());
  } finally {
    terminal.close();
  }
}

export const setupNative = verb<[], Own>({
  name: 'setup-native',
  summary: 'Set up TensorFlow itself as the backend, several times as fast as WebAssembly (Linux on x64)',
  options: [
    new Option('--gpu', 'with CUDA, for a machine with an NVIDIA GPU'),
    new Option('--remove', 'take the set-up away again'),
    new Option('--yes', 'agree to what is fetched'),
  ],
  example: 'uoe setup-native\n  uoe setup-native --remove',
  async run({ request, note, signal }, _none, { gpu = false, remove = false, yes = false }) {
    if (remove) {
      const { folder, removed } = await request('removeNative', {});
      return { json: { folder, removed }, text: removed ? `Removed from ${folder}.` : `There is no native set-up in ${folder}.`, done: removed };
    }
    const plan = await request('planNative', { gpu });
    note(planText(plan));
    if (!yes && !(await agreed(signal))) return { json: { plan, done: false }, text: 'Nothing was changed.' };
    const made = await request('setUpNative', { gpu });
    return {
      json: made,
      text: pairs([
        ['Backend', `tensorflow ${made.tensorflow}, ${made.gpu ? 'on a CUDA device' : 'on the processor'}, ${made.gigaflops.toFixed(1)} GFLOP/s`],
        ['Folder', made.folder],
        ['Time', `${made.seconds.toFixed(0)} s`],
      ]),
      done: true,
    };
  },
});
