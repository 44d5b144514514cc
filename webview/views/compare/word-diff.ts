/** Which words two texts share: a longest common subsequence. Pure. */

export interface DiffWord {
  readonly text: string;
  /** Only on this side. */
  readonly isOwn: boolean;
}

/** Longer texts are shown whole, as different. */
const mostWords = 600;
const wordsOf = (text: string) => text.split(/\s+/).filter(Boolean);

export function wordDiff(before: string, after: string): readonly [before: readonly DiffWord[], after: readonly DiffWord[]] {
  const [a, b] = [wordsOf(before), wordsOf(after)];
  if (a.length > mostWords || b.length > mostWords) {
    const isOwn = before !== after;
    return [a.map((text) => ({ text, isOwn })), b.map((text) => ({ text, isOwn }))];
  }
  const width = b.length + 1;
  // Length of the longest common subsequence of the rest of both, from the end.
  const rest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      rest[i * width + j] = a[i] === b[j] ? rest[(i + 1) * width + j + 1] + 1 : Math.max(rest[(i + 1) * width + j], rest[i * width + j + 1]);
    }
  }
  const left: DiffWord[] = [];
  const right: DiffWord[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      left.push({ text: a[i++], isOwn: false });
      right.push({ text: b[j++], isOwn: false });
    } else if (i < a.length && (j === b.length || rest[(i + 1) * width + j] >= rest[i * width + j + 1])) {
      left.push({ text: a[i++], isOwn: true });
    } else {
      right.push({ text: b[j++], isOwn: true });
    }
  }
  return [left, right];
}
