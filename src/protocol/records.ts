/** What a run writes and every view reads (DESIGN 4.3). Numbers in the journals carry 9 significant digits. */
import type { TrainChoice } from './train-choice';

/** Layer and expert as in the checkpoint's tensor names, 0-based. */
export interface ExpertId {
  readonly layer: number;
  readonly expert: number;
}

/** What trains: experts, and the routers of which layers. */
export interface Target {
  readonly experts: readonly ExpertId[];
  readonly train: TrainChoice;
}

/** One row of steps.jsonl: all fields belong to the weights before this step's update and to its batch. */
export interface StepRecord {
  readonly step: number;
  readonly forget: number;
  readonly retain: number;
  readonly anchor: number;
  readonly total: number;
  readonly gradNorm: number;
  readonly lr: number;
  /** Mean over target experts of the share of forget tokens' slots that go to them, times K. */
  readonly targetShare: number;
  readonly overlapForget: number | null;
  readonly overlapRetain: number | null;
  readonly ms: number;
}

/** A measured value with its 95 % interval where one is defined; perExample aligned with ids. */
export interface Score {
  readonly value: number;
  readonly n: number;
  readonly interval?: readonly [low: number, high: number];
  /** `tokens`: targets of the row, where the value is a mean over them. */
  readonly perExample?: readonly { readonly id: string; readonly value: number | null; readonly topic?: string; readonly tokens?: number }[];
}

/** A score of one data set: mean over topics of accuracy where there are questions, else exp(-mean NLL). */
export interface SetScore {
  readonly name: string;
  /** `extraction`: the share of an answer that need not be given (audits). */
  readonly kind: 'accuracy' | 'probability' | 'extraction';
  readonly score: Score;
  /** Accuracy per topic, for sets of questions. */
  readonly topics?: Readonly<Record<string, { readonly accuracy: number; readonly rows: number; readonly blind: number }>>;
  /** Mean share of a text that the model completes by its first choices (sets without questions, where they were asked for). */
  readonly extraction?: Score;
  /** Pooled NLL per target token; for questions: of the right option's tokens. */
  readonly nll: number;
  /** Accuracy of always answering with the commonest answer among the options (subject-blind); null without questions. */
  readonly blind: number | null;
}

/** One row of checks.jsonl. `step` 0 is the original. */
export interface CheckRecord {
  readonly step: number;
  readonly forget: number;
  readonly utility: number | null;
  readonly utilityNll: number | null;
  readonly overlapForget: number | null;
  readonly overlapRetain: number | null;
  readonly targetShare: number | null;
  readonly ms: number;
}

export type RunStatus = 'running' | 'done' | 'stopped' | 'cancelled' | 'failed' | 'interrupted';

/** run.json */
/** What was read of a checkpoint's weights. `waiting` is what reading and widening took beyond what arithmetic hid; zero seconds where no thread read ahead. */
export interface WeightReading {
  readonly bytes: number;
  /** Seconds of the reading thread in reads and in widening, and of the other in waiting for it. */
  readonly reading: number;
  readonly widening: number;
  readonly waiting: number;
}

/** What a trace says of a piece of work, in seconds in which at least one was going on. */
export interface WeightOverlap {
  readonly reading: number;
  readonly widening: number;
  /** A part's weights were there and its arithmetic ran. */
  readonly computing: number;
  readonly waiting: number;
  /** Reading or widening while the other computed. */
  readonly together: number;
  /** `together` as a share of the shorter one: reading with widening, or arithmetic. Null where there was none. */
  readonly share: number | null;
}

export interface RunRecord {
  readonly id: string;
  readonly number: number;
  readonly status: RunStatus;
  /** One sentence on why it ended as it did: stop rule, NaN, fault. */
  readonly reason?: string;
  /** The user dropped the result: there is nothing to resume. */
  readonly discarded?: boolean;
  readonly method: string;
  readonly model: string;
  readonly target: Target;
  readonly steps: number;
  readonly plannedSteps: number;
  /** The step whose weights are kept (keep: last or best). */
  readonly keptStep: number;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly backend: { readonly name: string; readonly threads: number };
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memory: number };
  readonly seconds: Readonly<Record<string, number>>;
  /** The same as it was planned before the first of them, where a sample was taken. */
  readonly plannedSeconds?: Readonly<Record<string, number>>;
  /** Most tokens of a block of prompts in passes of the original: it follows from the memory budget. */
  readonly blockTokens?: number;
  readonly weights?: WeightReading;
  /** Bytes of the whole process: what was allowed, what the plan said, and the largest that was measured. */
  readonly memory?: { readonly budget: number; readonly planned: number; readonly peak: number };
  readonly summary?: RunSummary;
  /** Where the run is a task of a sweep. */
  readonly sweep?: SweepTaskId;
}

/** A task of a sweep, by the names in its manifest. */
export interface SweepTaskId {
  readonly name: string;
  readonly task: string;
}

export interface BeforeAfter {
  readonly before: number;
  readonly after: number;
}

/** Result in short; full figures are in evaluation.json. */
export interface RunSummary {
  readonly forget?: BeforeAfter;
  readonly near?: BeforeAfter;
  readonly utility?: BeforeAfter;
  readonly forbidden?: BeforeAfter;
  readonly overlapForget?: number;
  readonly overlapRetain?: number;
  readonly targetShare?: BeforeAfter;
  /** Share of the update's norm lost when rounding to the checkpoint's dtype: |new - rounded| / |new - old|. */
  readonly roundingLoss?: number;
  readonly trainedParameters?: number;
  readonly trainedShare?: number;
}

/** Two measurements of the same rows: what changed, with what certainty. */
export interface PairedChange {
  /** Score after - score before, over the rows that both have. */
  readonly difference: number;
  /** Rows that both have. */
  readonly n: number;
  /** 95 %, percentile bootstrap over pairs of rows within their topic; undefined below two rows. */
  readonly interval?: readonly [low: number, high: number];
  /** Of questions: right only after, right only before, and McNemar's exact two-sided p. */
  readonly mcnemar?: { readonly gained: number; readonly lost: number; readonly p: number };
}

/** evaluation.json: every set before and after (and with the target forbidden where that was measured). */
export interface EvaluationRecord {
  readonly sets: readonly {
    readonly role: 'forget' | 'near' | 'utility';
    readonly before: SetScore;
    readonly after: SetScore;
    /** After against before, row by row. */
    readonly change?: PairedChange;
    readonly forbiddenBefore?: SetScore;
    readonly forbiddenAfter?: SetScore;
  }[];
  readonly routing?: {
    readonly overlapForget: number;
    readonly overlapRetain: number | null;
    readonly targetShareBefore: number;
    readonly targetShareAfter: number;
  };
}

/** attribution.json and the answer of `uoe attribute --json` (DESIGN 4.4). */
export interface AttributionRecord {
  readonly family: string;
  readonly sequences: number;
  readonly tokens: number;
  readonly topK: number;
  readonly layers: readonly {
    readonly layer: number;
    readonly experts: readonly { readonly expert: number; readonly affinity: number; readonly share: number }[];
  }[];
  readonly ranking: readonly RankedExpert[];
  readonly target: RankedExpert;
  readonly stability: { readonly halves: number; readonly sameTarget: number; readonly topOverlap: number } | null;
  /** The same on a second set of prompts (`--against`), experts aligned with `layers`. */
  readonly against?: { readonly sequences: number; readonly tokens: number; readonly layers: AttributionRecord['layers'] };
}

export interface RankedExpert extends ExpertId {
  readonly affinity: number;
  readonly share: number;
}
