/** Gradients by central differences in float64: slow, and independent of any calculus. */
import { type Checkpoint, type UnitName, unitValues, withUnits } from './checkpoint';

/** The lowest layer that a unit is in; for last norm and a head of its own the number of layers. */
function layerOf({ config }: Checkpoint, unit: UnitName): number {
  const inside = /\blayers\.(\d+)\./.exec(unit);
  if (inside) return Number(inside[1]);
  return /^(lm_head|model\.norm)\./.test(unit) ? config.num_hidden_layers : 0;
}

/**
 * d loss / d unit[coordinate] for several losses at once: (f(w + h) - f(w - h)) / 2h.
 * `losses` must hold the choice of experts constant (scoreAgain, scoreAll's `choices`), else a step may cross a decision; it is told the lowest
 * layer that moves.
 * Returns per loss one number per coordinate (flat index into the unit).
 */
export function centralDifferences<Name extends string>(
  checkpoint: Checkpoint,
  unit: UnitName,
  coordinates: readonly number[],
  losses: (moved: Checkpoint, layer: number) => Record<Name, number>,
  step = 1e-5,
): Record<Name, number[]> {
  const base = unitValues(checkpoint, unit);
  const layer = layerOf(checkpoint, unit);
  const gradients = {} as Record<Name, number[]>;
  for (const coordinate of coordinates) {
    const at = (offset: number): Record<Name, number> => {
      const values = base.values.slice();
      values[coordinate] += offset;
      return losses(withUnits(checkpoint, new Map([[unit, { values }]])), layer);
    };
    const above = at(step);
    const below = at(-step);
    for (const name of Object.keys(above) as Name[]) {
      gradients[name] ??= [];
      gradients[name].push((above[name] - below[name]) / (2 * step));
    }
  }
  return gradients;
}
