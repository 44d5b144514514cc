/** Everything the heatmap, the ranking and the expert tree show, from one attribution. */
import type { Aggregate, RoutingRecord } from '../../attribution/affinity';
import type { AttributionRecord, ExpertId } from '../../protocol/records';
import type { HeatmapFigures, RankingRow } from '../../protocol/workbench';
import { concentration, half } from './evidence';

/** Share of every expert on the second set, `[layers, E]`; null without one. */
export function retainShares({ against, layers }: AttributionRecord, experts: number): Float32Array | null {
  if (!against) return null;
  const shares = new Float32Array(layers.length * experts);
  against.layers.forEach((layer, row) => {
    for (const { expert, share } of layer.experts) shares[row * experts + expert] = share;
  });
  return shares;
}

/** Ranks from 1, largest first; equal values keep their order. */
export function ranksOf(values: ArrayLike<number>): Float32Array {
  const order = Array.from(values, (_, index) => index).sort((a, b) => values[b] - values[a] || a - b);
  const ranks = new Float32Array(values.length);
  order.forEach((index, position) => {
    ranks[index] = position + 1;
  });
  return ranks;
}

/** `relative` `[layers, E]`: affinity for display beside an equal share, where that is another than `whole.affinity`. */
export function figuresOf(
  key: string,
  { layers, experts, topK }: RoutingRecord,
  whole: Aggregate,
  retainShare: Float32Array | null,
  relative: Float64Array | null = null,
): HeatmapFigures {
  const rows = layers.map((_, row) => whole.affinity.subarray(row * experts, (row + 1) * experts));
  const rankInLayer = new Float32Array(whole.affinity.length);
  rows.forEach((affinity, row) => {
    rankInLayer.set(ranksOf(affinity), row * experts);
  });
  const share = Float32Array.from(whole.share);
  return {
    key,
    layers,
    experts,
    affinity: Float32Array.from(whole.affinity),
    share,
    slots: Float32Array.from(whole.share, (value) => Math.round(value * topK * whole.tokens)),
    retainShare,
    rank: ranksOf(whole.affinity),
    rankInLayer,
    timesEqual: Float32Array.from(relative ?? whole.affinity, (value) => value * experts),
    normalised: relative !== null,
    half: Float32Array.from(layers, (_, row) => half(concentration(share.subarray(row * experts, (row + 1) * experts)))),
    best: Float32Array.from(rows, (affinity) => Math.max(...affinity)),
  };
}

/** One expert's row of the ranking; null for one that the figures don't have. */
export function rankingRow(figures: HeatmapFigures, id: ExpertId): RankingRow | null {
  const row = figures.layers.indexOf(id.layer);
  if (row < 0 || id.expert < 0 || id.expert >= figures.experts) return null;
  const cell = row * figures.experts + id.expert;
  return {
    layer: id.layer,
    expert: id.expert,
    affinity: figures.affinity[cell],
    share: figures.share[cell],
    rank: figures.rank[cell],
    rankInLayer: figures.rankInLayer[cell],
    timesEqual: figures.timesEqual[cell],
    retainShare: figures.retainShare ? figures.retainShare[cell] : null,
  };
}

/** The best `length` experts of all layers, best first. */
export function ranking(figures: HeatmapFigures, length: number): readonly RankingRow[] {
  const rows: RankingRow[] = [];
  figures.rank.forEach((rank, cell) => {
    if (rank > length) return;
    const row = rankingRow(figures, { layer: figures.layers[Math.floor(cell / figures.experts)], expert: cell % figures.experts });
    if (row) rows[rank - 1] = row;
  });
  return rows;
}
