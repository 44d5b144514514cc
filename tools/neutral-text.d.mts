/** Paragraphs by use; no two lists share a chapter. */
export function neutralText(): { readonly retain: readonly string[]; readonly stop: readonly string[]; readonly heldout: readonly string[] };
export function writeNeutralText(to: string): void;
