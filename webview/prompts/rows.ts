/** Which rows of a long list are drawn, found and moved to. Pure. */

export const rowHeight = 26;
/** Rows drawn above and below what is seen, so that scrolling does not show gaps. */
const overscan = 8;

export interface RowWindow {
  readonly first: number;
  readonly end: number;
}

/** Rows `first` to before `end` for a box of `height` pixels scrolled to `top`. */
export function windowOf(top: number, height: number, count: number): RowWindow {
  const first = Math.max(0, Math.min(count, Math.floor(top / rowHeight) - overscan));
  const end = Math.min(count, Math.ceil((top + height) / rowHeight) + overscan);
  return { first, end: Math.max(first, end) };
}

/** Indices of the items whose text has every word of `filter`, whatever the case. */
export function matching(items: readonly { readonly text: string }[], filter: string): readonly number[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found: number[] = [];
  items.forEach(({ text }, index) => {
    const lower = text.toLowerCase();
    if (words.every((word) => lower.includes(word))) found.push(index);
  });
  return found;
}

/** Where a key moves to in a list of `count` rows of which `page` fit; null for a key that does not move. */
export function movedRow(row: number, key: string, count: number, page: number): number | null {
  const to = { ArrowDown: row + 1, ArrowUp: row - 1, Home: 0, End: count - 1, PageDown: row + page, PageUp: row - page }[key];
  return to === undefined ? null : Math.max(0, Math.min(count - 1, to));
}

/** How far a box of `height` pixels must be scrolled, from `top`, so that a row is seen whole. */
export function scrolledTo(row: number, top: number, height: number): number {
  if (row * rowHeight < top) return row * rowHeight;
  return Math.max(top, (row + 1) * rowHeight - height);
}
