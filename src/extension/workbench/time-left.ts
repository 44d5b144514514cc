/** How long a phase of a job will still take, from how far it is: nothing before it is known well enough, and in steps that don't flicker. */
import type { Progress } from '../engine/client';

/** Seconds before anything is said, and the step that it is rounded up to. */
const silent = 3;
const step = 5;

/** Seconds left after `elapsed` seconds in which the phase went from `from` to `share` of its way; null while that can't be said. */
export function secondsLeft(elapsed: number, from: number, share: number): number | null {
  if (elapsed < silent || share <= from) return null;
  return step * Math.ceil((elapsed * (1 - share)) / (share - from) / step);
}

/** For the progress reports of one job; a new phase begins anew. `now` in milliseconds. */
export function timeLeft(now: () => number = Date.now): (progress: Progress) => number | null {
  let phase: string | null = null;
  let began = 0;
  let from = 0;
  return ({ phase: current, done, total }) => {
    if (total <= 0) return null;
    const share = Math.min(1, done / total);
    if (current !== phase || share < from) [phase, began, from] = [current, now(), share];
    return secondsLeft((now() - began) / 1000, from, share);
  };
}
