/** Does half of the prompts name the same expert? Paper, Table 8: two subsets share 0.87 of their top 6. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { AttributionRecord } from '../protocol/records';
import { aggregate, type RoutingRecord, ranking } from './affinity';

const repetitions = 10;
const top = 6;

type Stability = AttributionRecord['stability'];

/**
 * Ten random halvings: how often both halves name the whole set's target, and the mean overlap of the two halves' top 6.
 * Null below two sequences.
 */
export function stability(record: RoutingRecord, seed: number): Stability {
  const steps = halvings(record, seed);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The same for the sequences in `members` (default: all), one halving at a time, so that a process with other work can do it between. */
export function* halvings(record: RoutingRecord, seed: number, members?: readonly number[]): Generator<undefined, Stability> {
  const all = members ?? Array.from(record.lengths, (_, z) => z);
  const count = all.length;
  if (count < 2) return null;
  const [target] = ranking(record, aggregate(record, all));
  const generator = xoroshiro128plus(seed ^ 0x5eed);
  let same = 0;
  let overlap = 0;
  for (let repetition = 0; repetition < repetitions; repetition++) {
    yield;
    const order = [...all];
    for (let i = count - 1; i > 0; i--) {
      const j = uniformInt(generator, 0, i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    const half = Math.floor(count / 2);
    const [first, second] = [order.slice(0, half), order.slice(half)].map((part) => ranking(record, aggregate(record, part)));
    if ([first[0], second[0]].every(({ layer, expert }) => layer === target.layer && expert === target.expert)) same++;
    const names = new Set(first.slice(0, top).map(({ layer, expert }) => `${layer}:${expert}`));
    const size = Math.min(top, first.length);
    overlap += second.slice(0, size).filter(({ layer, expert }) => names.has(`${layer}:${expert}`)).length / size;
  }
  return { halves: repetitions, sameTarget: same / repetitions, topOverlap: overlap / repetitions };
}
