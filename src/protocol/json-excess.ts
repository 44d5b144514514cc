/** JSON.parse reads anything, but whoever walks a very deep value runs out of stack, and many small lists take far more memory than their text. */

/** The deepest JSON that anybody writes for a program to read is far below. */
const DEEPEST = 256;
/** Lists and objects: about a gigabyte in memory. */
const MOST = 10_000_000;

/** What of a JSON text is too much, as the end of a sentence about it; null where nothing is. Several texts in a row (JSON Lines) count together. */
export function jsonExcess(text: string): string | null {
  if (text.length <= 2 * DEEPEST) return null;
  let depth = 0;
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x5b || char === 0x7b) {
      if (++depth > DEEPEST) return `nests its brackets deeper than ${DEEPEST} levels`;
      if (++count > MOST) return `holds more than ${MOST} lists and objects`;
    } else if (char === 0x5d || char === 0x7d) depth = Math.max(0, depth - 1);
    else if (char === 0x22) {
      const from = at + 1;
      at = text.indexOf('"', from);
      while (at >= 0 && isEscaped(text, from, at)) at = text.indexOf('"', at + 1);
      if (at < 0) return null;
    }
  }
  return null;
}

/** Whether an odd number of backslashes precedes `at`. */
function isEscaped(text: string, from: number, at: number): boolean {
  let first = at;
  while (first > from && text.charCodeAt(first - 1) === 0x5c) first--;
  return (at - first) % 2 === 1;
}
