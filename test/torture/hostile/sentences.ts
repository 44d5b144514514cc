/** What every refusal owes its reader. */
import { type Fault, sentence } from '../../../src/protocol/fault';

/** A path, a quoted value and what to do: more than this nobody reads. */
const LONGEST = 2100;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
const RAW = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Cs}/u;

/** A sentence that says what is wanted says what to do. */
const WANTED = /expected|, not |, but |a question needs|understood are|is needed|there are \d+|has no text|Did you mean|Add "|Take it out|Repair|Name each/;

/** What is wrong with a fault, or null. */
export function faultProblem(fault: Fault): string | null {
  const text = sentence(fault);
  const shown = JSON.stringify(text.slice(0, 300));
  if (fault.code === 'internal') return `an unexpected error: ${shown}`;
  if (RAW.test(text)) return `raw control characters in a sentence: ${shown}`;
  if (text.length > LONGEST) return `a sentence of ${text.length} characters: ${shown}`;
  if (!/[.?!]$/.test(text)) return `no sentence: ${shown}`;
  if ((fault.remedy === undefined || fault.remedy === '') && !WANTED.test(fault.message)) return `nothing to do about it: ${shown}`;
  return null;
}
