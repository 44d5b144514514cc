/** Sentences quote names, paths and values from files of unknown origin. */
import { plainText } from './plain-text';

/** Paths may be long; a thousand characters are still read. */
const LONGEST = 1000;

/** Line ends become spaces, half a surrogate pair and what no reader sees its escape, and a text that is too long loses its middle. */
export function oneLine(text: string, longest = LONGEST): string {
  const cut = text.length <= longest ? text : `${text.slice(0, longest >> 1)} … ${text.slice(text.length - (longest >> 1) + 3)}`;
  return plainText(cut.replace(/[\t\n\r]+/g, ' ').replace(/\p{Cs}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`));
}
