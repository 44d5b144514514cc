/** Figures of two layers, 1 and 3, of four experts; expert 3 of layer 1 is never routed. */
import { ranksOf } from '../../src/extension/workbench/heatmap';
import type { HeatmapFigures } from '../../src/protocol/workbench';

export function heatmapFigures(retainShare: Float32Array | null = null): HeatmapFigures {
  const affinity = Float32Array.of(0.5, 0.25, 0.25, 0, 0.1, 0.2, 0.3, 0.4);
  return {
    key: 'k',
    layers: [1, 3],
    experts: 4,
    affinity,
    share: Float32Array.of(0.5, 0.25, 0.25, 0, 0.25, 0.25, 0.25, 0.25),
    slots: Float32Array.of(100, 50, 50, 0, 50, 50, 50, 50),
    retainShare,
    rank: ranksOf(affinity),
    rankInLayer: Float32Array.of(...ranksOf(affinity.subarray(0, 4)), ...ranksOf(affinity.subarray(4))),
    timesEqual: affinity.map((value) => value * 4),
    normalised: false,
    half: Float32Array.of(1, 2),
    best: Float32Array.of(0.5, 0.4),
  };
}
