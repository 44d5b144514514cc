/** Is the target a safe choice: how few experts of its layer carry the prompts. */
import type { ConcentrationView } from '../../protocol/prompts-view';
import type { HeatmapFigures } from '../../protocol/workbench';

/** Share carried by the first 0, 1, 2 … experts, most used first: `[experts + 1]`, 0 … 1; all 0 where nothing was routed. */
export function concentration(shares: Float32Array): readonly number[] {
  const sorted = Array.from(shares).sort((a, b) => b - a);
  const total = sorted.reduce((sum, share) => sum + share, 0);
  const curve = [0];
  let carried = 0;
  for (const share of sorted) {
    carried += share;
    curve.push(total > 0 ? carried / total : 0);
  }
  return curve;
}

/** The fewest experts that carry half; 0 where nothing was routed. Rounding of shares must not push an exact half to the next expert. */
export const half = (curve: readonly number[]): number =>
  Math.max(
    0,
    curve.findIndex((carried) => carried >= 0.5 - 1e-6),
  );

/** Of one layer of the figures; null for a layer without experts. */
export function concentrationOf({ layers, experts, share, retainShare }: HeatmapFigures, layer: number): ConcentrationView | null {
  const row = layers.indexOf(layer);
  if (row < 0) return null;
  const curveOf = (values: Float32Array) => concentration(values.subarray(row * experts, (row + 1) * experts));
  const forget = curveOf(share);
  const retain = retainShare && curveOf(retainShare);
  return { layer, experts, forget, retain, half: half(forget), retainHalf: retain && half(retain) };
}
