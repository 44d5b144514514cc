/**
 * The engine's requests and events (DESIGN 4.5): plain values only. The same session answers the command line
 * in-process and the extension over node IPC (vscode-jsonrpc, serialization 'advanced', so Float32Array travels as such).
 * A request fails with a Fault as the data of its error. Every request takes a cancellation.
 */
import type { AuditAnswer, AuditRecord } from './audits';
import type { Catalogue } from './catalogue';
import type { RunTable } from './comparison-view';
import type { KnowledgeMap, MapPlan } from './knowledge-map';
import type { Recipe } from './recipe';
import type {
  AttributionRecord,
  CheckRecord,
  EvaluationRecord,
  ExpertId,
  RunRecord,
  Score,
  SetScore,
  StepRecord,
  SweepTaskId,
  WeightOverlap,
  WeightReading,
} from './records';
import type { TrainChoice } from './train-choice';

/** Data for a request: a file, or text the user selected in an editor. */
export type DataSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'text'; readonly text: string; readonly origin: string; readonly line: number };

export interface Reading {
  readonly maxLength?: number;
  readonly documentStart?: 'auto' | 'yes' | 'no';
  readonly chat?: 'auto' | 'never';
}

export interface Scoring {
  readonly options?: 'likelihood' | 'lettered';
  readonly normalise?: 'none' | 'tokens' | 'bytes' | 'characters';
}

/** Measure a model with a result applied, or with experts forbidden. */
export interface Variant {
  /** Run id or folder. */
  readonly run?: string;
  /** Patch file. */
  readonly patch?: string;
  /** Where `run` is looked for by id or number; the current folder when left out. */
  readonly workspace?: string;
  readonly forbid?: readonly ExpertId[];
  readonly forbidBy?: 'score' | 'logit';
}

export interface BackendInfo {
  readonly name: 'tensorflow' | 'webgpu' | 'wasm' | 'cpu';
  readonly threads: number;
  /** Why this one, in a sentence. */
  readonly why: string;
  /** How to get a faster one, where there is a way. */
  readonly faster?: string;
}

export interface ModelInfo {
  readonly path: string;
  readonly family: string;
  readonly layers: number;
  readonly moeLayers: readonly number[];
  readonly experts: number;
  readonly sharedExperts: number;
  readonly topK: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly parameters: { readonly total: number; readonly active: number; readonly perExpert: number };
  readonly dtype: string;
  readonly bytes: number;
  readonly shards: number;
  readonly tensors: number;
  readonly tokenizer: { readonly kind: string; readonly vocabulary: number; readonly chatTemplate: boolean } | null;
  readonly fingerprint: string;
  /** Sentences about things UOE can't do with this checkpoint; empty when all is well. */
  readonly unsupported: readonly string[];
  /** Sentences about what the folder holds: a result that is applied, or was being applied when its process ended. */
  readonly notes?: readonly string[];
  readonly plan: PhasePlan;
  /** What computes for this model: small ones are faster on another. */
  readonly backend: BackendInfo;
}

/** What a phase needs, in bytes; peak is the process's. */
export interface PhasePlan {
  readonly bytesToRead: number;
  readonly peakBytes: number;
  readonly budgetBytes: number;
}

export interface DataPreview {
  readonly sets: readonly {
    readonly name: string;
    readonly rows: number;
    readonly kinds: Readonly<Record<string, number>>;
    readonly tokens: number;
    readonly targetTokens: number;
    readonly truncated: number;
    readonly skipped: number;
    readonly examples: readonly { readonly id: string; readonly line: number; readonly text: string; readonly tokens: number }[];
  }[];
  /** Rows of the first set that nearly equal a row of the second (word overlap of 0.8 or more). */
  readonly nearDuplicates: readonly {
    readonly forget: string;
    readonly retain: string;
    readonly similarity: number;
    readonly text: string;
    readonly retainText: string;
  }[];
}

/** Attribution with what the heatmap and the prompt list need besides the record. */
export interface AttributionResult {
  readonly key: string;
  readonly record: AttributionRecord;
  /** Per sequence affinity `[Z, layers, E]` and slots `[Z, layers, E]`, so that ticking a prompt re-aggregates without a pass. */
  readonly affinity: Float32Array;
  readonly slots: Float32Array;
  /** The same as `affinity` with each token's scores made to add up to one, where they don't (sigmoid routers): for display beside an equal share. */
  readonly relative: Float32Array | null;
  /** `source` is the index into the request's prompts. */
  readonly sequences: readonly { readonly id: string; readonly source: number; readonly line: number; readonly text: string; readonly tokens: number }[];
  readonly seconds: number;
  /** What this attribution read. */
  readonly weights: WeightReading;
  /** Where a trace was asked for. */
  readonly overlap?: WeightOverlap;
}

/** Token strip: the tokens of one sequence with gate and rank of every chosen expert per MoE layer. */
export interface TokenGates {
  readonly tokens: readonly string[];
  /** MoE layer ids, in order of the arrays below. */
  readonly layers: readonly number[];
  /** `[layers, T, K]`, largest first. */
  readonly experts: Int32Array;
  readonly gates: Float32Array;
  /** Router scores of the same experts, before renormalising and scaling: their mean over the tokens is the sequence's affinity. */
  readonly scores: Float32Array;
}

/** Seconds of a run's phases, from a sample of the model's own pieces on this machine. */
export interface TimePlan {
  readonly phases: readonly {
    /** As run.json names it. */
    readonly name: string;
    readonly bytesToRead: number;
    /** Floating-point operations of matrix products. */
    readonly flops: number;
    /** Seconds of reading and of arithmetic, and of both beside one another. */
    readonly reading: number;
    readonly computing: number;
    readonly seconds: number;
  }[];
  readonly seconds: number;
  /** Seconds that the sample took. */
  readonly sampleSeconds: number;
}

export interface RunPlan {
  readonly target: readonly ExpertId[];
  readonly trainedParameters: number;
  readonly trainedShare: number;
  readonly forgetRows: number;
  readonly retainRows: number;
  /** Rows that checks during the run score; 0 where there are no checks. */
  readonly checkRows: number;
  readonly memory: PhasePlan;
  /** What the peak is made of, in bytes: the process as it is, weights, activations, kept streams and outputs, trained copies. */
  readonly memoryParts: Readonly<Record<'process' | 'weights' | 'activations' | 'cache' | 'optimizer', number>>;
  /** What the machine could give this process, where the system says so truthfully; null else. */
  readonly availableBytes: number | null;
  /** What the run folder will hold besides text: saved state and patch; and what its disk has free. */
  readonly disk: {
    readonly bytes: number;
    readonly free: number | null;
    /** Activations of the original, kept for later runs; 0 where passes are made again sooner than read. */
    readonly activations: number;
    /** What an exported checkpoint takes besides, where it is no link. */
    readonly exported: number;
  };
  /** Null where it was not asked for. */
  readonly time: TimePlan | null;
  /** Changes of the recipe that need less memory, with the peak then: largest effect for the least change first. */
  readonly waysOut: readonly {
    readonly change: { readonly accumulate?: number; readonly batchSize?: number; readonly maxLength?: number; readonly train?: TrainChoice };
    readonly peakBytes: number;
  }[];
  /** What will be measured, and what can't be and why, as sentences. */
  readonly measured: readonly string[];
  readonly notMeasured: readonly string[];
  readonly warnings: readonly string[];
}

export interface RunOutcome {
  readonly folder: string;
  readonly record: RunRecord;
  readonly evaluation: EvaluationRecord | null;
  /** Where a trace was asked for. */
  readonly overlap?: WeightOverlap;
}

export interface AnswerComparison {
  readonly rows: readonly {
    readonly id: string;
    readonly set: string;
    readonly prompt: string;
    readonly options?: readonly { readonly text: string; readonly before: number; readonly after: number }[];
    readonly answer?: number;
    readonly chosenBefore?: number;
    readonly chosenAfter?: number;
    readonly before?: string;
    readonly after?: string;
  }[];
}

export interface ExportResult {
  readonly folder: string;
  readonly changed: readonly string[];
  readonly proof: { readonly checked: number; readonly equal: number; readonly differing: readonly string[] };
  readonly bytesWritten: number;
  readonly linked: number;
}

/** One changed unit of a run's result, on the values as the checkpoint stores them; norms are Frobenius norms. */
export interface ChangedTensor {
  /** `name` or `name[e]`. */
  readonly unit: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  /** Bytes in the checkpoint. */
  readonly bytes: number;
  readonly norm: number;
  readonly weightNorm: number;
  readonly largest: number;
}

/** What a run's result changes in its checkpoint, and what writing it would take. */
export interface RunChanges {
  readonly changed: readonly ChangedTensor[];
  /** Tensors of the checkpoint, and which of them (in the order of the files) hold a changed unit. */
  readonly tensors: number;
  readonly places: readonly number[];
  readonly patchBytes: number;
  /** Bytes of a full export. */
  readonly checkpointBytes: number;
  /** Free on the disk of the workspace; null where that can't be told. */
  readonly freeBytes: number | null;
  readonly dtype: string;
  /** Fingerprint of the checkpoint when the run was made, and of its original now. */
  readonly recorded: string | null;
  readonly found: string;
  /** Whose result is applied to the checkpoint on disk. */
  readonly applied: 'none' | 'this' | 'other' | 'interrupted';
}

/** NLL of a row's targets, or the choice and the score of each option (DESIGN 4.4). */
export type ScoredRow =
  | { readonly id: string; readonly tokens: number; readonly nll: number; readonly perToken: readonly number[] }
  | { readonly id: string; readonly chosen: number; readonly answer: number; readonly correct: boolean; readonly scores: readonly number[] };

/** Part `index` (from 1) of `count` of a reading, kept in the file `to` for a merge. */
export interface Shard {
  readonly index: number;
  readonly count: number;
  readonly to: string;
}

export interface ScoreResult {
  readonly rows: readonly ScoredRow[];
  /** `nll` pools all targets of rows that are not questions; `accuracy` is over the questions; null where there is no such row. */
  readonly mean: { readonly nll: number | null; readonly accuracy: number | null };
  readonly skipped: number;
  readonly truncated: number;
  readonly byTopic: Readonly<Record<string, { readonly rows: number; readonly accuracy?: number; readonly nll?: number }>>;
}

export interface GenerateResult {
  /** `text` leaves the end token out; null on a checkpoint without a tokenizer. */
  readonly rows: readonly { readonly id: string; readonly tokens: readonly number[]; readonly text: string | null }[];
}

export interface GradientsResult {
  readonly file: string;
  readonly losses: Readonly<Record<'forget' | 'retain' | 'anchor' | 'total', number>>;
  /** Trained units, as named in the file. */
  readonly units: readonly string[];
}

/** One data set with every metric that its rows carry the input for; a metric that can't be had says why. */
export interface EvaluatedSet {
  readonly name: string;
  readonly score: SetScore;
  readonly metrics: Readonly<Record<string, Score>>;
  readonly missing: Readonly<Record<string, string>>;
  /** TOFU's truth ratios, wrong over right, of the rows that have them: what a forget quality compares with. */
  readonly truthRatios?: readonly number[];
  readonly skipped: number;
  readonly truncated: number;
}

/** A comparison of runs in every form it is printed in. */
export interface ComparisonForms {
  readonly text: string;
  readonly markdown: string;
  readonly csv: string;
  readonly json: string;
  readonly table: RunTable;
}

/** ESFT's expert-set file. */
export interface ExpertSetFile {
  readonly experts: Readonly<Record<string, readonly number[]>>;
  readonly shared_experts: false;
  readonly non_expert_modules: false;
}

export interface DoctorReport {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory: { readonly total: number; readonly free: number; readonly budget: number };
  /** Bytes per second in sequence, past the system's cache: of a trial file in `folder`, and of the largest file of the checkpoint asked about; null where unknown. */
  readonly disk: {
    readonly folder: string;
    readonly free: number | null;
    readonly write: number | null;
    readonly read: number | null;
    readonly checkpoint: { readonly file: string; readonly read: number | null } | null;
  };
  readonly backends: readonly {
    readonly name: string;
    readonly available: boolean;
    readonly threads: number | null;
    readonly gigaflops: number | null;
    /** With bf16 operands ("precision": "fast"); null where the backend has no such products. */
    readonly bf16Gigaflops: number | null;
    readonly note: string;
  }[];
  /** Largest difference of the backend's product from the same product in float64, relative to its largest element. */
  readonly selfTest: { readonly passed: boolean; readonly error: number };
  /** What is missing, and how to get it, as sentences. */
  readonly missing: readonly string[];
}

/** What a native set-up would do on this machine. */
export interface NativePlan {
  /** The cache that it goes into. */
  readonly folder: string;
  /** What is set up now; null without. */
  readonly present: { readonly tensorflow: string; readonly gpu: boolean } | null;
  /** Folder of an installed Python package `tensorflow` that is used in place. */
  readonly inPlace: string | null;
  /** Bytes to fetch and to keep; null where the package is used in place or was fetched before. */
  readonly fetch: { readonly what: string; readonly bytes: number; readonly kept: number } | null;
}

export interface NativeSetup {
  readonly folder: string;
  readonly tensorflow: string;
  /** A CUDA device computes. */
  readonly gpu: boolean;
  readonly gigaflops: number;
  readonly seconds: number;
}

/** What a knowledge map is measured on. */
export interface MapParams extends Reading, Scoring, Pick<Variant, 'run' | 'patch' | 'workspace'> {
  readonly model: string;
  /** Rows of what is to be forgotten, and of what is to stay. */
  readonly forget: readonly DataSource[];
  readonly retain?: readonly DataSource[];
  /** Prompts whose affinity the experts are ranked by; the forget rows where none are named. */
  readonly prompts?: readonly DataSource[];
  /** Layers whose components are left out one by one; all where none are named. */
  readonly layers?: readonly number[];
  /** zero: an expert gives nothing and all gates stay. forbid: it may not be chosen and the next-best takes its place. Default zero. */
  readonly by?: 'zero' | 'forbid';
  /** Most rows of each set, spread over it; all where left out. */
  readonly rows?: number;
}

/** Request name to [parameters, answer]. */
export interface EngineRequests {
  handshake: [
    { readonly backend?: 'auto' | 'tensorflow' | 'webgpu' | 'wasm' | 'cpu'; readonly threads?: number | 'auto'; readonly memory?: string },
    { readonly version: string; readonly backend: BackendInfo; readonly catalogue: Catalogue },
  ];
  openModel: [{ readonly path: string }, ModelInfo];
  closeModel: [{ readonly path: string }, null];
  /** `others` are counted as they are measured, under their own names. */
  preview: [
    {
      readonly model: string;
      readonly forget?: readonly DataSource[];
      readonly retain?: readonly DataSource[];
      readonly others?: readonly { readonly name: string; readonly data: readonly DataSource[] }[];
    } & Reading,
    DataPreview,
  ];
  /** The rows at these lines of the sources as JSON Lines, ids kept: what a run on some of the prompts reads. */
  chosenRows: [
    { readonly sources: readonly DataSource[]; readonly rows: readonly { readonly source: number; readonly line: number }[] },
    { readonly text: string },
  ];
  attribute: [
    {
      readonly model: string;
      readonly prompts: readonly DataSource[];
      readonly against?: readonly DataSource[];
      readonly seed?: number;
      /** File for a trace of reading and arithmetic. */
      readonly trace?: string;
      readonly shard?: Shard;
    } & Reading &
      Variant,
    AttributionResult,
  ];
  tokenGates: [{ readonly model: string; readonly source: DataSource; readonly id: string } & Reading & Variant, TokenGates];
  resolveRecipe: [{ readonly recipe: unknown; readonly folder: string }, Recipe];
  /** `time`: seconds too, from a sample of the model that takes a moment the first time. */
  planRun: [{ readonly recipe: unknown; readonly folder: string; readonly time?: boolean }, RunPlan];
  startRun: [
    {
      readonly recipe: unknown;
      readonly folder: string;
      readonly workspace: string;
      readonly resume?: string;
      readonly trace?: string;
      readonly sweep?: SweepTaskId;
    },
    RunOutcome,
  ];
  /** `keep` ends the run after the step in progress and keeps the best check; `discard` drops the result; `pause`/`continue`. */
  steerRun: [{ readonly action: 'pause' | 'continue' | 'keep' | 'discard' }, null];
  runs: [
    { readonly workspace: string },
    {
      readonly runs: readonly RunRecord[];
      readonly broken: readonly { readonly folder: string; readonly why: string }[];
      /** Sentences about exports that were cut short. */
      readonly cut?: readonly string[];
    },
  ];
  /** `mostSteps`: a longer journal is thinned to so many rows. */
  readRun: [{ readonly run: string; readonly workspace: string; readonly mostSteps?: number }, RunFolder];
  /** Before: the original, or the run that `before` names. */
  answers: [{ readonly model: string; readonly run: string; readonly before?: string; readonly workspace: string; readonly limit?: number }, AnswerComparison];
  exportRun: [
    { readonly run: string; readonly workspace: string; readonly to: string; readonly form: 'checkpoint' | 'patch'; readonly link?: boolean },
    ExportResult,
  ];
  runChanges: [{ readonly run: string; readonly workspace: string }, RunChanges];
  /** The proof of an export once more, on what lies in `folder` now. */
  verifyExport: [{ readonly run: string; readonly workspace: string; readonly folder: string }, ExportResult['proof']];
  applyRun: [{ readonly run: string; readonly workspace: string }, ExportResult];
  restoreModel: [{ readonly model: string }, ExportResult];
  /** `logits` and `routing` are safetensors files to write besides. */
  score: [
    { readonly model: string; readonly data: readonly DataSource[]; readonly logits?: string; readonly routing?: string; readonly shard?: Shard } & Reading &
      Variant &
      Scoring,
    ScoreResult,
  ];
  generate: [
    { readonly model: string; readonly data: readonly DataSource[]; readonly maxNewTokens: number; readonly ignoreEos?: boolean } & Reading & Variant,
    GenerateResult,
  ];
  /** Losses and gradients of the recipe's first batch, written to `to`; weights of `run` or `patch` as they are, not rounded. */
  gradients: [{ readonly recipe: unknown; readonly folder: string; readonly to: string } & Pick<Variant, 'run' | 'patch' | 'workspace'>, GradientsResult];
  /** `maxNewTokens` above 0 generates answers too, for ROUGE. */
  evaluate: [
    {
      readonly model: string;
      readonly sets: readonly { readonly name: string; readonly data: DataSource }[];
      readonly maxNewTokens?: number;
      /** Rows that the model never saw, for metrics of membership. */
      readonly holdout?: DataSource;
      /** File with this request's answer for a model retrained without the forget set. */
      readonly reference?: string;
      /** How truth ratios are read: near 1 is good on a forget set, near 0 on any other. Default forget. */
      readonly truth?: 'forget' | 'other';
    } & Reading &
      Variant &
      Scoring,
    { readonly sets: readonly EvaluatedSet[] },
  ];
  /** Runs audits on a run and writes audits.json after each: those named, or all that can be run. One that was made with the same settings is kept, unless `again`. */
  audit: [
    {
      readonly run: string;
      readonly workspace: string;
      readonly audits?: readonly string[];
      readonly again?: boolean;
      readonly steps?: number;
      /** File with the forget questions in other words. */
      readonly paraphrases?: string;
    },
    AuditAnswer,
  ];
  /** What a knowledge map would cost. */
  planMap: [MapParams, MapPlan];
  /** Leaves every component out in turn. One that was measured before is read from the workspace, unless `again`; `known` alone measures none: null where there is none. */
  measureMap: [MapParams & { readonly again?: boolean; readonly known?: boolean }, KnowledgeMap | null];
  /** Without `runs`: all of the workspace, also those whose recipe or evaluation can't be read; with `model`, those of this checkpoint. */
  compare: [{ readonly runs?: readonly string[]; readonly workspace: string; readonly model?: string }, ComparisonForms];
  /** `html` reads routing and asks a sample of answers with the model; `filesOnly` leaves that out. */
  report: [{ readonly run: string; readonly workspace: string; readonly form: 'markdown' | 'html'; readonly filesOnly?: boolean }, { readonly text: string }];
  expertSet: [{ readonly record: AttributionRecord; readonly score: 'affinity' | 'share'; readonly p: number }, ExpertSetFile];
  /** `model`: its disk is read too. `quick`: a tenth of the time. */
  doctor: [{ readonly folder: string; readonly model?: string; readonly quick?: boolean }, DoctorReport];
  planNative: [{ readonly gpu?: boolean }, NativePlan];
  /** Fetches, compiles and proves TensorFlow for this machine; a backend that is in use stays what it is. */
  setUpNative: [{ readonly gpu?: boolean }, NativeSetup];
  /** Takes a set-up away again; `removed`: there was one. */
  removeNative: [Readonly<Record<string, never>>, { readonly folder: string; readonly removed: boolean }];
}

/** Everything a run folder holds but tensors. */
export interface RunFolder {
  readonly record: RunRecord;
  readonly recipe: Recipe;
  readonly steps: readonly StepRecord[];
  readonly checks: readonly CheckRecord[];
  readonly attribution: AttributionRecord | null;
  readonly evaluation: EvaluationRecord | null;
  readonly audits: AuditRecord | null;
}

/** Event name to its payload; `request` is the id the caller gave. */
export interface EngineEvents {
  progress: { readonly request: string; readonly phase: string; readonly done: number; readonly total: number; readonly unit: string };
  runStarted: { readonly folder: string; readonly record: RunRecord };
  /** `memoryBytes`: the process, resident. */
  step: { readonly run: string; readonly record: StepRecord; readonly memoryBytes: number };
  check: { readonly run: string; readonly record: CheckRecord };
  log: { readonly level: 'info' | 'warn' | 'error'; readonly message: string };
}
