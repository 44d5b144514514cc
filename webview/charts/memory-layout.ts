/** Geometry of the memory bar as shares of its width: parts stacked from the left, and where free memory ends. Pure. */
import { type MemoryPart, memoryParts } from '../../src/protocol/workbench';

export interface MemoryLayout {
  readonly segments: readonly { readonly part: MemoryPart; readonly from: number; readonly width: number }[];
  /** Where free memory ends, 0 … 1. */
  readonly free: number;
}

/** Room right of the larger of need and free, so that neither line stands on the edge. */
const room = 1.05;

/** `parts` and `free` in bytes. */
export function memoryLayout(parts: Readonly<Record<MemoryPart, number>>, free: number): MemoryLayout {
  const need = memoryParts.reduce((sum, part) => sum + parts[part], 0);
  const full = Math.max(need, free, 1) * room;
  let from = 0;
  const segments = memoryParts.map((part) => {
    const width = parts[part] / full;
    const segment = { part, from, width };
    from += width;
    return segment;
  });
  return { segments, free: free / full };
}
