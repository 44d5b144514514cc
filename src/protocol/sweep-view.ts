/** A sweep as an editor shows it: its tasks with their states in words, its counts, and its table. Words and numbers are made outside the webview. */
import type { RunTable } from './comparison-view';

/** What becomes of a task: the run folder says it; only where that says nothing, an executor does. */
export type TaskKind = 'waiting' | 'queued' | 'starting' | 'running' | 'done' | 'failed' | 'cancelled' | 'stopped' | 'lost' | 'forgotten' | 'unknown';

export interface SweepTaskView {
  readonly id: string;
  /** `GA · 0` */
  readonly name: string;
  readonly kind: TaskKind;
  /** One phrase; English, as on the command line. */
  readonly words: string;
  /** Its run; of several the one that is furthest. */
  readonly run: string | null;
  /** Runs of it before, such as failed ones. */
  readonly earlier: readonly string[];
  /** Of a running one, where its journal has a step. */
  readonly step: number | null;
  readonly plannedSteps: number | null;
}

export interface SweepCounts {
  readonly all: number;
  readonly done: number;
  readonly failed: number;
  readonly running: number;
  readonly queued: number;
}

export interface SweepView {
  readonly name: string;
  /** The sweep file; null where it is not known. */
  readonly file: string | null;
  readonly axes: readonly string[];
  /** Where it was started last. */
  readonly on: 'local' | 'slurm' | null;
  readonly workers: number | null;
  readonly tasks: readonly SweepTaskView[];
  readonly counts: SweepCounts;
  /** Something of it is queued or running. */
  readonly isLive: boolean;
  /** The process that ran it on this machine is gone, with tasks left. */
  readonly isCutOff: boolean;
}

/** Mean and sample standard deviation over the repeats that have the figure; sd is null below two. */
export interface Spread {
  readonly n: number;
  readonly mean: number;
  readonly sd: number | null;
}

/** A line of a sweep's table: tasks that differ by their seed alone. */
export interface SweepTableLine {
  readonly labels: readonly string[];
  readonly tasks: number;
  readonly done: number;
  readonly failed: number;
  readonly forget: Spread | null;
  readonly near: Spread | null;
  readonly utility: Spread | null;
  readonly overlap: Spread | null;
  readonly seconds: Spread | null;
}

/** The page of one sweep; it fills as runs finish. */
export interface SweepPage {
  readonly name: string;
  readonly counts: SweepCounts;
  readonly isLive: boolean;
  readonly isCutOff: boolean;
  readonly on: 'local' | 'slurm' | null;
  /** Titles of what was varied, but for repeats. */
  readonly axes: readonly string[];
  readonly lines: readonly SweepTableLine[];
  readonly tasks: readonly Pick<SweepTaskView, 'id' | 'name' | 'kind' | 'words' | 'run'>[];
  /** The runs that are done; the front is theirs. */
  readonly table: RunTable;
  /** Utility of the original, where the runs agree on it. */
  readonly original: number | null;
}
