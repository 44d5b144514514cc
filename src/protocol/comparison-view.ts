/** What step 4 shows: one run beside the original or another run. Every number and every word of judgement is made outside the webview. */
import type { ExpertId, PairedChange, RunStatus } from './records';

export interface VerdictWords {
  readonly kind: 'ok' | 'warn' | 'bad' | 'none';
  readonly text: string;
}

export type SetRole = 'forget' | 'near' | 'utility';

/** One role's score: `sets` data sets in one figure. */
export interface ScoreCard {
  readonly role: SetRole;
  readonly kind: 'accuracy' | 'probability';
  /** Topics or files behind the figure, in words. */
  readonly note: string;
  readonly rows: number;
  readonly before: number;
  readonly after: number;
  /** 95 % of `after`; null where several sets make one figure. */
  readonly interval: readonly [low: number, high: number] | null;
  /** After against before, row by row; null where the two were not measured on the same rows. */
  readonly change?: PairedChange | null;
  /** Subject-blind baseline of the set; null without questions. */
  readonly chance: number | null;
  readonly verdict: VerdictWords;
}

/** Names all audits where one is meant else. */
export const everyAudit = 'all';

/** What one click would run, of the audits that can be run: those not measured yet, or all once more. */
export interface AuditsToRun {
  readonly count: number;
  readonly again: boolean;
  /** Null where the run took no note of time. */
  readonly seconds: number | null;
}

/** A topic's accuracy, forget first, then near, then the others. */
export interface TopicRow {
  readonly name: string;
  readonly role: SetRole;
  readonly rows: number;
  readonly before: number | null;
  readonly after: number;
  /** 95 %, Wilson. */
  readonly interval: readonly [low: number, high: number] | null;
  readonly chance: number | null;
}

export interface AuditView {
  readonly id: string;
  readonly title: string;
  readonly asks: string;
  /** Null: not measured yet. */
  readonly outcome: {
    readonly verdict: VerdictWords;
    /** The reading in one sentence, with its interval. */
    readonly text: string;
    /** The two that the chart shows, hollow and solid: usually the edited model as it is, and under the audit. */
    readonly before: number;
    readonly after: number;
    readonly names: readonly [before: string, after: string];
    /** The original under the same intervention. */
    readonly original: number;
    readonly series: 'forget' | 'near';
    /** 95 % of `after`. */
    readonly interval: readonly [low: number, high: number] | null;
    readonly chance: number | null;
    readonly facts: readonly (readonly [name: string, value: string])[];
    /** File of the run folder that it stands in. */
    readonly source: string;
  } | null;
  /** Estimated from the run's own evaluation; null where that took no note of time. */
  readonly seconds: number | null;
  /** Why it can't be run, in one sentence. */
  readonly refusal: string | null;
  /** What it lacks is a file that the user can name. */
  readonly wantsFile: boolean;
}

export interface RunChoice {
  /** Null: the original. */
  readonly run: string | null;
  readonly label: string;
}

/** One run of the table of a checkpoint's runs; a figure that was not measured is null. */
export interface RunTableRow {
  readonly run: number;
  readonly id: string;
  readonly model: string;
  readonly method: string;
  /** Weight of the anchor. */
  readonly alpha: number | null;
  readonly target: readonly ExpertId[];
  readonly train: string;
  /** Scores of the edited model: lower forget is better, higher utility and near. */
  readonly forget: number | null;
  readonly utility: number | null;
  readonly near: number | null;
  /** The same of the original. */
  readonly before: { readonly forget: number | null; readonly utility: number | null; readonly near: number | null };
  /** Subject-blind baseline of the forget set; null without questions, or with several sets. */
  readonly chance: number | null;
  /** Share of the way from the original's forget score to chance; null without both. */
  readonly forgotten: number | null;
  /** Share of the forget tokens' experts that the original also chose. */
  readonly overlap: number | null;
  readonly steps: number;
  readonly seconds: number | null;
  readonly status: RunStatus;
  /** No other run that came to an end forgets at least as much and keeps at least as much, and one of them more. */
  readonly onFront: boolean;
}

export interface RunTable {
  readonly rows: readonly RunTableRow[];
  /** Ids of the best runs of a column; several when equal, none below two runs with a value. */
  readonly best: { readonly forget: readonly string[]; readonly utility: readonly string[]; readonly near: readonly string[] };
  /** Ids on the Pareto front, by falling forget score. */
  readonly front: readonly string[];
}

export interface MoverRow extends ExpertId {
  readonly before: number;
  readonly after: number;
  readonly slotsBefore: number;
  readonly slotsAfter: number;
}

/** Arrays `[layers, experts]`, row-major; sent once per comparison, never inside the state. */
export interface RoutingFigures {
  /** Which comparison they belong to. */
  readonly pair: string;
  readonly prompts: 'forget' | 'retain';
  /** MoE layer ids, in row order. */
  readonly layers: readonly number[];
  readonly experts: number;
  readonly sequences: number;
  readonly tokens: number;
  readonly topK: number;
  readonly target: readonly ExpertId[];
  readonly shareBefore: Float32Array;
  readonly shareAfter: Float32Array;
  readonly slotsBefore: Float32Array;
  readonly slotsAfter: Float32Array;
  /** By affinity before, from 1: the order of all three panels. */
  readonly rankInLayer: Float32Array;
  /** Layers below this one get the same inputs before and after. */
  readonly lowest: number;
  /** Largest changes of share first. */
  readonly movers: readonly MoverRow[];
  readonly seconds: number;
}

export interface AnswerOption {
  readonly text: string;
  /** Share of the options' probability, 0 … 1. */
  readonly before: number;
  readonly after: number;
  readonly isRight: boolean;
}

export interface AnswerRow {
  readonly id: string;
  readonly set: SetRole;
  readonly prompt: string;
  /** The answer in words: the option chosen, or the text generated. */
  readonly before: string;
  readonly after: string;
  readonly changed: boolean;
  /** Empty for generated answers. */
  readonly options: readonly AnswerOption[];
  /** 1 / options; null for generated answers. */
  readonly chance: number | null;
}

export interface AnswersFigures {
  readonly pair: string;
  readonly rows: readonly AnswerRow[];
}

/** A chart or heatmap to save; the host asks where. */
export const figureForms = ['svg', 'png', 'csv'] as const;
export type FigureForm = (typeof figureForms)[number];
