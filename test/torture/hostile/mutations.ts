/** Hostile inputs out of small real ones: changes that know bytes, text and the structure of JSON. Everything follows from a seed. */

export type Random = () => number;

/** Mulberry32: uniform in [0, 1). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const below = (random: Random, end: number): number => Math.floor(random() * end);
const oneOf = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)];

/** Inputs stay below this, so that a hang is no matter of size. */
export const LARGEST_INPUT = 1 << 18;

const NUMBERS = [0, -1, 1, 2, 0.5, -0.5, 255, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64, 1e308, -1e308, 5e-324, 1e9, 1e12];
const TEXTS = [
  '',
  ' ',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '../../../etc/passwd',
  '/etc/passwd',
  '..\\..\\x',
  'C:\\x',
  'a/b',
  '.',
  '..',
  '\0',
  'a\0b',
  '\u001b[2J\u001b]0;x\u0007',
  '\u202egnp.exe',
  '\u2028',
  '\ufeff',
  '\ud800',
  'e\u0301',
  '😀',
  'NaN',
  'Infinity',
  '-1',
  '1e999',
  '9'.repeat(400),
  'x'.repeat(5000),
  '(a+)+$',
  '{{ messages }}',
  '<script>alert(1)</script>',
];
/** Pieces of text that parsers tend to trip over. */
const PIECES = [
  '\0',
  '\u001b[31m',
  '\u202e',
  '\ufeff',
  '\r\n',
  '\r',
  '\n\n',
  '"',
  "'",
  '\\',
  '\\u0000',
  '\\ud800',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '""',
  '"__proto__":',
  '"constructor":{"prototype":{"x":1}},',
  'null',
  'NaN',
  'Infinity',
  '1e999',
  '-',
  '0x10',
  '9'.repeat(30),
  '[[[[[[[[',
  '{"a":',
];

const special = (random: Random): unknown => {
  const pick = below(random, 12);
  if (pick < 4) return oneOf(random, NUMBERS);
  if (pick < 8) return oneOf(random, TEXTS);
  if (pick === 8) return oneOf(random, [null, true, false]);
  if (pick === 9) return oneOf(random, [[], {}, [[]], [null], { '': null }]);
  if (pick === 10) return nested(below(random, 2) === 0 ? 40 : 400, random() < 0.5);
  return Array.from({ length: oneOf(random, [3, 1000, 20_000]) }, () => oneOf(random, [0, 'a', 1.5]) as unknown);
};

function nested(depth: number, list: boolean): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = list ? [value] : { a: value };
  return value;
}

/** Most often one change: more of them rarely leave an input that anybody reads to its end. */
const several = (random: Random): number => (random() < 0.65 ? 1 : 1 + below(random, 4));

type Place = { readonly holder: Record<string, unknown> | unknown[]; readonly key: string | number };

/** Places in a value, sampled so that deep ones are met too. */
function placeIn(random: Random, root: unknown): Place | null {
  let place: Place | null = null;
  let value = root;
  while (typeof value === 'object' && value !== null) {
    const keys = Array.isArray(value) ? value.length : Object.keys(value).length;
    if (keys === 0) break;
    const at = below(random, keys);
    place = { holder: value as Place['holder'], key: Array.isArray(value) ? at : Object.keys(value)[at] };
    value = (value as Record<string | number, unknown>)[place.key];
    if (random() < 0.35) break;
  }
  return place;
}

const put = ({ holder, key }: Place, value: unknown): void => {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
};
const got = ({ holder, key }: Place): unknown => (holder as Record<string | number, unknown>)[key];

function changed(random: Random, value: unknown): unknown {
  if (typeof value === 'number' && random() < 0.6) return oneOf(random, [value + 1, value - 1, -value, value * 2, value / 2, value + 0.5, value * 1e6]);
  if (typeof value === 'string' && random() < 0.5) {
    const at = below(random, value.length + 1);
    return oneOf(random, [value + oneOf(random, TEXTS), value.slice(0, at), value.slice(0, at) + oneOf(random, PIECES) + value.slice(at), value.toUpperCase()]);
  }
  return special(random);
}

/** One or a few changes to a JSON value; the value itself is changed. */
function changeJson(random: Random, root: unknown): unknown {
  if (random() < 0.01) return special(random);
  for (let times = several(random); times > 0; times--) {
    const place = placeIn(random, root);
    if (!place) return special(random);
    const act = below(random, 10);
    if (act < 5) put(place, changed(random, got(place)));
    else if (act === 5) Array.isArray(place.holder) ? place.holder.splice(Number(place.key), 1) : delete place.holder[place.key];
    else if (act === 6) {
      const other = placeIn(random, root);
      if (other) put(place, structuredClone(got(other)));
    } else if (act === 7) put({ holder: place.holder, key: Array.isArray(place.holder) ? place.holder.length : String(oneOf(random, TEXTS)) }, special(random));
    else if (act === 8 && !Array.isArray(place.holder)) {
      const value = place.holder[place.key];
      delete place.holder[place.key];
      put({ holder: place.holder, key: oneOf(random, TEXTS) }, value);
    } else if (Array.isArray(place.holder)) place.holder.push(...(structuredClone(place.holder.slice(0, 50)) as unknown[]));
    else put(place, [got(place)]);
  }
  return root;
}

/** What a value can't say: keys that are there twice, numbers that are none, brackets of any depth. */
function spoilt(random: Random, text: string): string {
  const pick = below(random, 20);
  if (pick === 0) return text.replace(/"([^"\\]*)":/, (key) => `${key}1,${key}`);
  if (pick === 1) return text.replace(/:(\d+)/, () => `:${oneOf(random, ['NaN', 'Infinity', '1e999', '-0', '1e-999', '00', '0x1'])}`);
  if (pick === 2) return text.replace(/:("[^"]*"|\d+)/, () => `:${'['.repeat(50_000)}`);
  if (pick === 3) return text.replace(/:("[^"]*"|\d+)/, () => `:${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`);
  if (pick === 4) return text.replace(/\{/, '{"__proto__":{"polluted":true},');
  if (pick === 5) return `\ufeff${text}`;
  return text;
}

const encoder = new TextEncoder();

export function mutateJson(random: Random, input: Uint8Array): Uint8Array | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(input));
    return encoder.encode(spoilt(random, JSON.stringify(changeJson(random, value)) ?? 'null'));
  } catch {
    return null;
  }
}

export function mutateText(random: Random, input: Uint8Array, words: readonly string[]): Uint8Array {
  let text = new TextDecoder().decode(input);
  for (let times = several(random); times > 0; times--) {
    const at = below(random, text.length + 1);
    const to = Math.min(text.length, at + 1 + below(random, 40));
    const word = words.length > 0 && random() < 0.6 ? oneOf(random, words) : oneOf(random, PIECES);
    const act = below(random, 7);
    if (act < 3) text = text.slice(0, at) + word + text.slice(at);
    else if (act === 3) text = text.slice(0, at) + text.slice(to);
    else if (act === 4) text = text.slice(0, at) + text.slice(at, to).repeat(1 + below(random, random() < 0.1 ? 2000 : 4)) + text.slice(to);
    else if (act === 5) text = text.slice(0, at) + word + text.slice(to);
    else {
      const from = below(random, text.length + 1);
      text = text.slice(0, at) + text.slice(from, from + below(random, 200)) + text.slice(at);
    }
  }
  return encoder.encode(text);
}

const INTEGERS = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** `tail`: changes fall into the last so many bytes half of the time (where a format keeps its directory). */
export function mutateBytes(random: Random, input: Uint8Array, other: Uint8Array, tail = 0): Uint8Array {
  let bytes = Buffer.from(input);
  const somewhere = (): number => {
    if (bytes.length === 0) return 0;
    return tail > 0 && random() < 0.5 ? Math.max(0, bytes.length - 1 - below(random, Math.min(tail, bytes.length))) : below(random, bytes.length);
  };
  for (let times = several(random); times > 0; times--) {
    const at = somewhere();
    const length = 1 + below(random, 16);
    switch (below(random, 9)) {
      case 0:
        if (bytes.length > 0) bytes[at] ^= 1 << below(random, 8);
        break;
      case 1:
      case 2:
        if (bytes.length > 0) bytes[at] = random() < 0.5 ? below(random, 256) : oneOf(random, INTEGERS) & 0xff;
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + length))]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(Array.from({ length }, () => below(random, 256))), bytes.subarray(at)]);
        break;
      case 5:
        if (at + 4 <= bytes.length) bytes.writeUInt32LE(oneOf(random, INTEGERS), at);
        break;
      case 6:
        if (at + 8 <= bytes.length) bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(oneOf(random, NUMBERS.filter(Number.isInteger)))), at);
        break;
      case 7: {
        const from = below(random, other.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(from, from + below(random, 64)), bytes.subarray(at)]);
        break;
      }
      default:
        bytes = random() < 0.3 ? bytes.subarray(0, at) : Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    }
  }
  return new Uint8Array(bytes);
}
