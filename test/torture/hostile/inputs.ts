/** The next input of a target, out of those it has so far. */
import { LARGEST_INPUT, mutateBytes, mutateJson, mutateText, type Random } from './mutations';
import type { Target } from './target';

/** The header of a safetensors file changed as JSON; its length field follows, most of the time. */
function mutateWrapped(random: Random, input: Uint8Array): Uint8Array | null {
  if (input.length < 10) return null;
  const length = Number(new DataView(input.buffer, input.byteOffset).getBigUint64(0, true));
  if (length > input.length - 8) return null;
  const header = mutateJson(random, input.subarray(8, 8 + length));
  if (header === null) return null;
  const made = Buffer.concat([input.subarray(0, 8), header, input.subarray(8 + length)]);
  if (random() < 0.9) made.writeBigUInt64LE(BigInt(header.length), 0);
  return new Uint8Array(made);
}

export function nextInput({ form, words = [], tail }: Target, corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const pick = () => corpus[Math.floor(random() * corpus.length)];
  const input = pick();
  const how = random();
  let made: Uint8Array | null = null;
  if (form === 'json' && how < 0.7) made = mutateJson(random, input);
  else if (form === 'wrapped' && how < 0.65) made = mutateWrapped(random, input);
  else if (form === 'text' && how < 0.85) made = mutateText(random, input, words);
  else if (form === 'json' && how < 0.9) made = mutateText(random, input, words);
  made ??= mutateBytes(random, input, pick(), tail);
  return made.length > LARGEST_INPUT ? made.subarray(0, LARGEST_INPUT) : made;
}
