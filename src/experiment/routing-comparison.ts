/** Routing before and after, aligned cell by cell, from two attributions of the same prompts. */
import type { MoverRow, RoutingFigures } from '../protocol/comparison-view';
import type { AttributionResult } from '../protocol/engine';
import type { Target } from '../protocol/records';
import { isOfTarget } from '../protocol/train-choice';

const shownMovers = 6;

interface Grid {
  readonly share: Float32Array;
  readonly slots: Float32Array;
  readonly affinity: Float32Array;
}

/** `[layers, experts]`, row-major; slots are summed over the sequences `[sequences, layers, experts]`. */
function gridOf({ record, slots }: AttributionResult, experts: number): Grid {
  const cells = record.layers.length * experts;
  const grid: Grid = { share: new Float32Array(cells), slots: new Float32Array(cells), affinity: new Float32Array(cells) };
  record.layers.forEach((layer, row) => {
    for (const { expert, share, affinity } of layer.experts) {
      grid.share[row * experts + expert] = share;
      grid.affinity[row * experts + expert] = affinity;
    }
  });
  for (let i = 0; i < slots.length; i++) grid.slots[i % cells] += slots[i];
  return grid;
}

/** Ranks inside each row, from 1, largest first. */
function ranksByRow(values: Float32Array, experts: number): Float32Array {
  const ranks = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += experts) {
    const order = Array.from({ length: experts }, (_, e) => start + e).sort((a, b) => values[b] - values[a] || a - b);
    order.forEach((cell, position) => {
      ranks[cell] = position + 1;
    });
  }
  return ranks;
}

/** The largest changes of share; cells that did not change are left out. */
function moversOf(layers: readonly number[], experts: number, before: Grid, after: Grid): readonly MoverRow[] {
  const change = (cell: number) => Math.abs(after.share[cell] - before.share[cell]);
  return Array.from(before.share.keys())
    .filter((cell) => change(cell) > 0)
    .sort((a, b) => change(b) - change(a) || a - b)
    .slice(0, shownMovers)
    .map((cell) => ({
      layer: layers[Math.floor(cell / experts)],
      expert: cell % experts,
      before: before.share[cell],
      after: after.share[cell],
      slotsBefore: before.slots[cell],
      slotsAfter: after.slots[cell],
    }));
}

/** `runs`: the targets of both sides that are no original; below them nothing changes where nothing else trained. */
export function routingFigures(
  { pair, prompts, runs }: Pick<RoutingFigures, 'pair' | 'prompts'> & { readonly runs: readonly Target[] },
  before: AttributionResult,
  after: AttributionResult,
): RoutingFigures {
  const layers = before.record.layers.map(({ layer }) => layer);
  const experts = Math.max(...before.record.layers.map((layer) => layer.experts.length));
  const [old, now] = [gridOf(before, experts), gridOf(after, experts)];
  const target = runs.flatMap((run) => run.experts);
  return {
    pair,
    prompts,
    layers,
    experts,
    sequences: after.record.sequences,
    tokens: after.record.tokens,
    topK: after.record.topK,
    target,
    shareBefore: old.share,
    shareAfter: now.share,
    slotsBefore: old.slots,
    slotsAfter: now.slots,
    rankInLayer: ranksByRow(old.affinity, experts),
    lowest: runs.every(({ train }) => isOfTarget(train)) ? Math.min(...target.map(({ layer }) => layer)) : 0,
    movers: moversOf(layers, experts, old, now),
    seconds: before.seconds + after.seconds,
  };
}
