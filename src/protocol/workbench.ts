/**
 * What extension host and webview say to each other. The host owns one state object and computes every number in it; the webview draws
 * it and sends what the user does. Messages from the webview are validated (webview-message.ts) before anything else happens.
 */
import type { MethodDescriptor, MetricDescriptor } from './catalogue';
import type { AnswersFigures, AuditsToRun, AuditView, RoutingFigures, RunChoice, RunTable, ScoreCard, TopicRow, VerdictWords } from './comparison-view';
import type { BackendInfo, ExportResult, ModelInfo, RunChanges } from './engine';
import type { MapComponent, MapPlan, MapSet } from './knowledge-map';
import type { ConcentrationView, DoctorView, PreviewView, PromptList, PromptsView, PromptTicks, TokenStrip } from './prompts-view';
import type { CheckRecord, ExpertId, PairedChange, RankedExpert, RunStatus, StepRecord } from './records';
import type { SweepPage } from './sweep-view';

export const stepNames = ['model', 'find', 'unlearn', 'compare', 'export'] as const;
export type WorkbenchStep = (typeof stepNames)[number];

/** Data sets of one job: what to forget, what to keep, what early stopping looks at, what is measured before and after. */
export const dataRoles = ['forget', 'retain', 'stopForget', 'stopUtility', 'evaluateForget', 'evaluateNear', 'evaluateUtility'] as const;
export type DataRole = (typeof dataRoles)[number];

export interface DataSetView {
  /** `forget.jsonl`, or `notes.md:12–18` for a selection. */
  readonly name: string;
  readonly kind: 'file' | 'selection';
  /** `240 rows · 5 419 tokens`, once it was read. */
  readonly detail?: string;
  /** Why it can't be read, in a sentence. */
  readonly fault?: string;
}

/** Something that keeps the loop from going on, in words; `actions` are commands the user may run. */
export interface ProblemView {
  readonly title: string;
  readonly text: string;
  /** Of a checkpoint that could not be opened: a page of its own where no model is. */
  readonly kind?: 'architecture' | 'memory' | 'file';
  readonly actions: readonly { readonly id: ProblemAction; readonly label: string }[];
}
export const problemActions = ['openCheckpoint', 'useDemo', 'memorySetting', 'openAgain', 'restoreOriginal', 'restartEngine', 'resumeRun', 'showLog'] as const;
export type ProblemAction = (typeof problemActions)[number];

/** Work in progress: every one can be cancelled. */
export interface JobView {
  readonly title: string;
  /** `layer 2 of 3`, `step 12 of 100`; empty until something is known. */
  readonly message: string;
  /** 0 … 1, or null while unknown. */
  readonly share: number | null;
  /** Of the phase that goes on, rounded up to 5 s; null or left out while it can't be said. */
  readonly secondsLeft?: number | null;
  /** Tells it from other jobs, to cancel this one. */
  readonly id?: number;
  /** It has not begun: others are before it. */
  readonly waiting?: boolean;
}

export interface EngineView {
  readonly status: 'off' | 'starting' | 'ready' | 'stopped';
  readonly backend?: BackendInfo;
}

export interface ModelView extends Omit<ModelInfo, 'path' | 'backend'> {
  readonly name: string;
}

export interface RankingRow extends RankedExpert {
  readonly rank: number;
  readonly rankInLayer: number;
  /** Affinity over an equal share, 1 / experts. */
  readonly timesEqual: number;
  /** Share on the retain set, where there is one. */
  readonly retainShare: number | null;
}

export interface AttributionView {
  readonly key: string;
  readonly sequences: number;
  readonly tokens: number;
  readonly selectable: number;
  /** Best ten, and the target's own row if it is not among them. */
  readonly ranking: readonly RankingRow[];
  readonly best: ExpertId;
  /** null: too few prompts to halve; 'pending': worked out at this moment. */
  readonly stability: { readonly halves: number; readonly sameTarget: number; readonly topOverlap: number } | null | 'pending';
  /** Of the target's layer; null without a target. */
  readonly concentration: ConcentrationView | null;
  readonly hasRetain: boolean;
  readonly seconds: number;
  /** The data changed after it was computed. */
  readonly outOfDate: boolean;
}

/** Arrays `[layers, experts]`, row-major; sent once per attribution, never as JSON. */
export interface HeatmapFigures {
  readonly key: string;
  /** MoE layer ids, in row order. */
  readonly layers: readonly number[];
  readonly experts: number;
  readonly affinity: Float32Array;
  readonly share: Float32Array;
  /** Routed slots on the forget prompts; 0 is "never routed". */
  readonly slots: Float32Array;
  /** Share on the retain set; null without one. */
  readonly retainShare: Float32Array | null;
  /** Rank over all layers and in the layer, from 1. */
  readonly rank: Float32Array;
  readonly rankInLayer: Float32Array;
  /** Affinity over an equal share, 1 / experts; of a sigmoid router, whose scores don't add up to one, of g normalised per token. */
  readonly timesEqual: Float32Array;
  /** `timesEqual` is of g normalised per token. */
  readonly normalised: boolean;
  /** `[layers]`: experts that carry half of the layer's routed slots. */
  readonly half: Float32Array;
  /** `[layers]`: the layer's best affinity. */
  readonly best: Float32Array;
}

/** The knowledge map: what leaving a component out does, and what measuring it would cost. */
export interface EffectsView {
  /** What it is, or would be, measured on. */
  readonly forget: string;
  readonly retain: string | null;
  /** Asked for, and not yet measured. */
  readonly plan: MapPlan | null;
  readonly measured: {
    readonly forget: MapSet;
    readonly retain: MapSet | null;
    /** Rank correlation of affinity and effect over the experts. */
    readonly agreement: number | null;
    readonly experts: number;
    readonly components: number;
    readonly seconds: number;
    /** Largest effect on forget first. */
    readonly top: readonly MapComponent[];
    readonly used: readonly ExpertId[];
    readonly hidden: readonly ExpertId[];
  } | null;
}

/** Arrays `[layers, 2 + experts]`: attention, shared or dense, then the experts; NaN where a layer has no such component. */
export interface EffectFigures {
  readonly key: string;
  readonly layers: readonly number[];
  readonly experts: number;
  /** What stands in the second column of each layer. */
  readonly second: readonly ('shared' | 'dense' | null)[];
  /** Score lost on forget with its interval (NaN without one), rise of the NLL, score lost on retain (NaN without a set). */
  readonly score: Float32Array;
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly nll: Float32Array;
  readonly retain: Float32Array;
  /** Forget rows that the component touches. */
  readonly rows: Float32Array;
  /** By effect over all components; by affinity over the experts, NaN for others. */
  readonly rank: Float32Array;
  readonly affinityRank: Float32Array;
  /** 1: much used without an effect; 2: an effect, and little used. */
  readonly disagrees: Uint8Array;
}

/** What the recipe says to train, where that is not one expert by name. */
export interface PlanTargets {
  readonly kind: 'experts' | 'random' | 'esft';
  /** Of a random one its seed, of an ESFT list the name of its file. */
  readonly from: string;
  /** Empty until the list was read, or the prompts. */
  readonly experts: readonly (ExpertId & { readonly affinity: number | null; readonly rank: number | null })[];
}

export interface PlanSettings {
  /** The expert chosen in step 2, or what the recipe says. */
  readonly target: 'one' | 'recipe';
  readonly method: string;
  /** 'recipe': what the recipe says, which is none of the others. */
  readonly train: 'expert+router' | 'expert' | 'router' | 'full' | 'recipe';
  readonly lr: number;
  readonly steps: number;
  /** Rows of a step: 'all' is the whole set. */
  readonly batchSize: number | 'all';
  readonly anchorWeight: number;
  readonly seed: number;
  readonly anchorForm: 'paper' | 'released';
  /** λ: weight of the retain loss; of RMU's own retain term for RMU. */
  readonly retainWeight: number;
  /** RMU's c: a length, or a multiple of the mean norm of the hidden states. */
  readonly steering: number;
  readonly steeringUnit: 'absolute' | 'hiddenNorm';
  /** Of NPO and SimNPO. */
  readonly beta: number;
  /** Of SimNPO. */
  readonly delta: number;
  readonly schedule: 'constant' | 'cosine' | 'linear';
  readonly warmup: number;
  /** Tokens kept of a row. */
  readonly maxLength: number;
  /** Micro-batches of a step: less memory, the same step. */
  readonly accumulate: number;
  /** Steps between two checks. */
  readonly everySteps: number;
  readonly keep: 'last' | 'best';
  /** Stop rules; null is off. They need a stop set. */
  readonly forgetAtMost: number | null;
  readonly utilityDropAtMost: number | null;
  readonly nllRiseAtMost: number | null;
  /** Checks in a row. */
  readonly patience: number;
}

export interface PresetChoice {
  readonly id: string;
  readonly label: string;
  readonly help: string;
  readonly source: string;
}

/** Part of the memory a run needs. */
export const memoryParts = ['process', 'weights', 'activations', 'cache', 'optimizer'] as const;
export type MemoryPart = (typeof memoryParts)[number];

/** A change of the settings that needs less memory, with what is needed then. */
export interface WayOut {
  readonly label: string;
  readonly patch: Partial<PlanSettings>;
  readonly peakBytes: number;
  readonly fits: boolean;
}

export interface PlanView {
  readonly settings: PlanSettings;
  /** Where the values came from: `Demo recipe`, `Defaults`. */
  readonly preset: string;
  readonly presetId: string;
  readonly presets: readonly PresetChoice[];
  /** True once a field differs from the preset. */
  readonly changed: boolean;
  readonly methods: readonly MethodDescriptor[];
  /** Null where the recipe leaves it to step 2, or names one expert. */
  readonly targets: PlanTargets | null;
  /** The engine's answer for these settings; null while it is worked out. */
  readonly answer: {
    /** Experts that the recipe names; empty where a pass has to find them. */
    readonly target: readonly ExpertId[];
    readonly trainedParameters: number;
    readonly trainedShare: number;
    readonly forgetRows: number;
    readonly retainRows: number;
    /** Rows that checks during the run score; 0 where there are none, and so no rule to stop by. */
    readonly checkRows: number;
    readonly peakBytes: number;
    readonly budgetBytes: number;
    /** What the peak is made of; adds up to it. */
    readonly parts: Readonly<Record<MemoryPart, number>>;
    /** The budget, or what the machine has free where that is less. */
    readonly freeBytes: number;
    readonly diskBytes: number;
    readonly diskFree: number | null;
    /** Median of a run with the same work per step, and which; null where none was measured. */
    readonly step: { readonly seconds: number; readonly run: number } | null;
    /** Seconds by phase, those with work alone, and all together; null until the sample is taken. */
    readonly time: { readonly seconds: number; readonly phases: readonly { readonly name: string; readonly seconds: number }[] } | null;
    /** Part of `diskBytes`: activations of the original, kept for later runs. */
    readonly keptBytes: number;
    /** What an exported checkpoint takes besides. */
    readonly exportBytes: number;
    readonly waysOut: readonly WayOut[];
    readonly measured: readonly string[];
    readonly notMeasured: readonly string[];
    readonly warnings: readonly string[];
  } | null;
  /** Why it can't start, in one sentence. */
  readonly refusal: string | null;
  /** Answer and refusal are those of the settings before, until the engine has answered for these. */
  readonly isUpdating: boolean;
}

export interface RunView {
  readonly id: string;
  readonly number: number;
  readonly method: string;
  readonly target: readonly ExpertId[];
  readonly status: RunStatus | 'stopping' | 'paused';
  readonly reason?: string;
  readonly settings: readonly (readonly [name: string, value: string, note?: string])[];
  /** The form's values it was started with; what "Use as new plan" takes over. */
  readonly plan: PlanSettings | null;
  readonly plannedSteps: number;
  /** Of the whole run, as planned before it began. */
  readonly plannedSeconds?: number;
  /** Last step that is saved: where it would go on. */
  readonly savedStep: number | null;
  /** The engine's process, in bytes, at the last step. */
  readonly memoryBytes: number | null;
  /** A gentler learning rate, where a loss was not finite. */
  readonly gentlerRate: number | null;
  /** A stop rule ended it. */
  readonly stoppedByRule: boolean;
  /** It was cut off, not ended: it can go on from its journal. */
  readonly resumable: boolean;
  readonly checks: readonly CheckRecord[];
  /** The kept step once it has ended, else that of the best check so far; null before the first. */
  readonly bestStep: number | null;
  readonly elapsedSeconds: number;
  readonly secondsPerStep: number | null;
}

export interface ComparisonRow {
  readonly set: string;
  readonly role: 'forget' | 'near' | 'utility';
  /** Text has its NLL and extraction strength in rows of their own, below its probability. */
  readonly kind: 'accuracy' | 'probability' | 'nll' | 'extraction';
  readonly rows: number;
  readonly before: number;
  readonly after: number;
  readonly interval: readonly [low: number, high: number] | null;
  /** Of a whole set: after against before, row by row; null where they were not measured on the same rows. */
  readonly change?: PairedChange | null;
  /** Accuracy of always giving the commonest answer; null without questions. */
  readonly blind: number | null;
  readonly forbiddenAfter: number | null;
  /** One of several topics, or another measure, of the set above it. */
  readonly topic: boolean;
}

export interface ComparisonView {
  readonly run: string;
  readonly number: number;
  readonly method: string;
  readonly target: readonly ExpertId[];
  readonly steps: number;
  readonly keptStep: number;
  /** Which two are compared: figures that come later carry the same. */
  readonly pair: string;
  /** `Run 7 · NPO · α 1` */
  readonly label: string;
  readonly before: RunChoice;
  readonly cards: readonly ScoreCard[];
  readonly topics: readonly TopicRow[];
  readonly audits: readonly AuditView[];
  readonly auditsToRun: AuditsToRun;
  /** The audit that speaks most against the result; null where none was run. */
  readonly worst: VerdictWords | null;
  /** All runs of the workspace, once they are read. */
  readonly table: RunTable | null;
  /** The result in words and its evidence, the same as in the report. */
  readonly headline: string;
  readonly sentences: readonly string[];
  readonly rows: readonly ComparisonRow[];
  readonly routing: readonly (readonly [name: string, before: number | null, after: number | null])[];
  readonly routingVerdict: VerdictWords | null;
  readonly roundingLoss: number | null;
  /** The metrics that these figures are of, with what they mean. */
  readonly metrics: readonly MetricDescriptor[];
  readonly discarded: boolean;
}

/** What step 5 can do with a result. */
export const exportForms = ['checkpoint', 'patch', 'report', 'experts'] as const;
export const resultActions = ['measure', 'verify', 'apply', 'restore', 'openReport', 'copyChecksums', 'openHistory'] as const;
export type ResultAction = (typeof resultActions)[number];
export type ExportForm = (typeof exportForms)[number] | 'applied' | 'restored';

/** What the run shown changes in its checkpoint: the engine's measurement, or why there is none. */
export interface ChangesView {
  readonly run: string;
  readonly answer: RunChanges | null;
  readonly refusal: string | null;
}

/** What was done last with a result. */
export interface ExportView {
  readonly run: string;
  readonly form: ExportForm;
  /** Name of the file, folder or checkpoint. */
  readonly place: string;
  readonly bytesWritten: number;
  /** Tensors outside the change, and files beside them, by SHA-256; null where only the change was written. */
  readonly proof: ExportResult['proof'] | null;
}

export interface RunRow {
  readonly id: string;
  readonly number: number;
  readonly method: string;
  readonly status: RunStatus;
  readonly reason?: string;
  readonly forget: number | null;
  readonly utility: number | null;
}

export interface InterruptedView {
  readonly id: string;
  readonly number: number;
  readonly method: string;
  readonly step: number;
  readonly plannedSteps: number;
}

export interface WorkbenchState {
  readonly step: WorkbenchStep;
  readonly trusted: boolean;
  readonly engine: EngineView;
  readonly problem: ProblemView | null;
  readonly job: JobView | null;
  /** All that is under way or waits, in the order they came. */
  readonly jobs: readonly JobView[];
  /** A run that was cut off, not ended, and can go on. */
  readonly interrupted: InterruptedView | null;
  readonly model: ModelView | null;
  readonly data: Readonly<Record<DataRole, DataSetView | null>>;
  readonly preview: PreviewView | null;
  readonly doctor: DoctorView | null;
  readonly prompts: PromptsView | null;
  readonly attribution: AttributionView | null;
  readonly target: RankingRow | null;
  readonly effects: EffectsView | null;
  readonly plan: PlanView | null;
  readonly run: RunView | null;
  readonly comparison: ComparisonView | null;
  /** The sweep whose table is shown in place of a comparison. */
  readonly sweep: SweepPage | null;
  readonly changes: ChangesView | null;
  readonly exported: ExportView | null;
  readonly runs: readonly RunRow[];
}

export type HostMessage =
  | { readonly type: 'state'; readonly state: WorkbenchState }
  | { readonly type: 'heatmap'; readonly figures: HeatmapFigures | null }
  | { readonly type: 'effects'; readonly figures: EffectFigures | null }
  | { readonly type: 'routing'; readonly figures: RoutingFigures | null }
  | { readonly type: 'answers'; readonly figures: AnswersFigures | null }
  | { readonly type: 'prompts'; readonly list: PromptList | null }
  | { readonly type: 'ticks'; readonly ticks: PromptTicks | null }
  | { readonly type: 'tokens'; readonly strip: TokenStrip | null }
  /** Step rows of the run shown, from index `from`. */
  | { readonly type: 'steps'; readonly run: string; readonly from: number; readonly rows: readonly StepRecord[] };

/** What the webview keeps over a reload; the host keeps the rest. Nothing here is a path either. */
export interface WebviewMemory {
  readonly measure: 'affinity' | 'share' | 'difference' | 'effect';
  readonly order: 'number' | 'rank';
  /** The numbers of heatmaps and curves are shown as tables too. */
  readonly asTable?: boolean;
  readonly compareTab: 'summary' | 'routing' | 'answers' | 'audits' | 'runs';
  readonly answers: { readonly filter: 'all' | 'changed' | 'forget' | 'near' | 'utility'; readonly page: number };
}
