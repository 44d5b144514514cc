/** Texts with places `{0}`, `{1}`, ..., as vscode.l10n.t reads them. */

/** The text with its places filled. */
export const fill = (text: string, values: readonly (string | number)[]): string =>
  text.replace(/\{(\d+)\}/g, (place, index) => String(values[Number(index)] ?? place));

/** The text in parts: pieces of it with the values between them, in its own order. */
export const fillParts = <V>(text: string, values: readonly V[]): readonly (string | V)[] =>
  text.split(/\{(\d+)\}/).map((piece, i) => (i % 2 === 0 ? piece : (values[Number(piece)] ?? `{${piece}}`)));
