/** Text from data, shown: prompts, model output and names are never commands to a terminal, and never turn the direction of what stands beside them. */

/**
 * Control characters but line end and tab, marks that turn the direction of writing, separators that some programs take for line ends, and
 * characters that no font draws (annotations, tags).
 */
const hidden = /[^\P{Cc}\n\t]|[\p{Bidi_Control}\p{Zl}\p{Zp}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;

/** `\u001b`, `\u202e`, `\u{e0041}`. */
function escaped(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16);
  return hex.length <= 4 ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
}

/** The text with every such character written as its escape, so that a reader sees what is there; Windows' line ends are line ends. */
export const plainText = (text: string): string => text.replaceAll('\r\n', '\n').replace(hidden, escaped);

/** JSON that is safe in a terminal as it is, and reads back as it was: control characters above ASCII's are written as escapes too. */
export const plainJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(/[\u007f-\u009f\p{Bidi_Control}\p{Zl}\p{Zp}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );

/** What our own fields are called. */
const fieldName = /^\w+$/;

/** Every string of a plain value, names of fields too, through `change`; the value itself where nothing in it changes. */
export function mapStrings<T>(value: T, change: (text: string) => string): T {
  if (typeof value === 'string') return change(value) as T;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) {
    let list: unknown[] | null = null;
    for (const [index, entry] of value.entries()) {
      const mapped: unknown = mapStrings(entry, change);
      if (mapped === entry) continue;
      list ??= [...value];
      list[index] = mapped;
    }
    return (list ?? value) as T;
  }
  let isChanged = false;
  const entries = Object.entries(value).map(([name, entry]): [string, unknown] => {
    const mapped: [string, unknown] = [fieldName.test(name) ? name : change(name), mapStrings(entry, change)];
    isChanged ||= mapped[0] !== name || mapped[1] !== entry;
    return mapped;
  });
  return isChanged ? (Object.fromEntries(entries) as T) : value;
}
