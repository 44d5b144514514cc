import type { CheckRecord, RunRecord, StepRecord, SweepTaskId } from '../protocol/records';
import type { OpenOptions } from './open-recipe';

/** What the caller may ask for between two steps. */
export type Steering = 'go' | 'pause' | 'keep' | 'discard';

/** How a run is ended, steered and watched. */
export interface RunHooks {
  readonly signal?: AbortSignal;
  /** Throws once the run's lock is another process's, which alone writes to the run then; set by the run itself. */
  readonly held?: () => Promise<void>;
  readonly steering?: () => Steering;
  readonly open?: OpenOptions['open'];
  readonly progress?: (phase: string, done: number, total: number, unit: string) => void;
  readonly started?: (folder: string, record: RunRecord) => void;
  readonly step?: (record: StepRecord) => void;
  readonly check?: (record: CheckRecord) => void;
  /** Multiplications from which on passes of the original are kept on disk; left out, what takes seconds. */
  readonly worthKeeping?: number;
  /** Plans the seconds of each phase from a sample of the model, which takes about a second. */
  readonly time?: boolean;
  readonly warn?: (message: string) => void;
  /** The task of a sweep that this run is. */
  readonly sweep?: SweepTaskId;
}
