// Options of the benchmarks: read from the command line, checked, and refused with one sentence and how to call them.
import { parseArgs } from 'node:util';
import { formatOf } from './table.mjs';

/** `texts` are options with a value, with what they are when left out, or undefined; `flags` stand alone. All benchmarks have --format and --json. */
export function optionValues(argv, texts, flags = []) {
  const text = (otherwise) => ({ type: 'string', ...(otherwise === undefined ? {} : { default: otherwise }) });
  const options = {
    ...Object.fromEntries(Object.entries(texts).map(([name, otherwise]) => [name, text(otherwise)])),
    ...Object.fromEntries([...flags, 'json'].map((name) => [name, { type: 'boolean', default: false }])),
    format: text(),
  };
  const { values } = parseArgs({ args: argv, options });
  return { ...values, format: formatOf(values) };
}

/** --only: some of the `known` names, or `otherwise`; `what` they are called. */
export function chosenOf({ only }, known, what, otherwise = known) {
  const chosen = only?.split(',') ?? otherwise;
  const unknown = chosen.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`There is no ${what} "${unknown}": there are ${known.join(', ')}.`);
  return chosen;
}

/** --backend: one, or both in turns. */
export function backendsOf({ backend = 'all' }) {
  if (!['wasm', 'tensorflow', 'all'].includes(backend)) throw new Error('--backend is wasm, tensorflow or all.');
  return backend === 'all' ? ['tensorflow', 'wasm'] : [backend];
}

/** A whole number from `least`. */
export function wholeOf(values, name, otherwise, least = 1) {
  const value = Number(values[name] ?? otherwise);
  if (!Number.isSafeInteger(value) || value < least) throw new Error(`--${name} is a whole number from ${least}.`);
  return value;
}

/** What `read` makes of the options; null where they are wrong, which is said and ends the program with 2. */
export function readOrExplain(read, usage) {
  try {
    return read();
  } catch (error) {
    console.error(usage === undefined ? error.message : `${error.message}\n${usage}`);
    process.exitCode = 2;
    return null;
  }
}
