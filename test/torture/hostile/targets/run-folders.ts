import { readRun, runFiles } from '../run-files';
import { bytesOf, type OpenTarget, refused, textOf } from '../target';

/** One for each file of a run folder, beside which the others are as they should be. */
export const runFolders: readonly OpenTarget[] = Object.entries(runFiles).map(([name, content]) => () => ({
  name: `run folders: ${name}`,
  form: name.endsWith('l') ? 'text' : 'json',
  share: 2,
  seeds: [bytesOf(content)],
  words: ['"step":', '{}', 'null'],
  run: (input) => refused(() => readRun(name, textOf(input))),
}));
