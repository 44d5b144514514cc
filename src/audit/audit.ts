/**
 * What an audit is: one file that says what it asks, what it does to the original and the edited model alike, and in which words its result is
 * read. It measures with a bench (bench.ts) and imports no arithmetic, so that pages and reports can list audits without a model.
 */
import type { AuditResult } from '../protocol/audits';
import type { Descriptor } from '../protocol/catalogue';
import type { RunFolder } from '../protocol/engine';
import type { ExpertId, SetScore } from '../protocol/records';
import type { TokenSequence } from '../protocol/sequences';

/** Rows of one set. */
export interface AuditSet {
  readonly role: AuditResult['sets'][number]['role'];
  readonly file: string;
  readonly sequences: readonly TokenSequence[];
}

/** The same rows on both models. */
export interface Pair {
  readonly original: SetScore;
  readonly edited: SetScore;
}

/** What both models are measured under. */
export interface Intervention {
  /** May not be chosen: left out before the choice, hence before any renormalising over the chosen. */
  readonly forbidden?: readonly ExpertId[];
  /** Are always chosen, with the gates that their own scores give. */
  readonly forced?: readonly ExpertId[];
  /** Weights of linear layers rounded to this many bits (rounding.ts). */
  readonly bits?: number;
}

/** What the caller may ask for. */
export interface AuditOptions {
  /** Updates of the relearning audits. */
  readonly steps: number;
  /** File with the forget questions in other words; null: none was named. */
  readonly paraphrases: string | null;
}

export type RelearnTrain = 'components' | 'full';

/** What an audit measures with. `sets` are the run's evaluation sets, forget first. */
export interface Bench {
  readonly sets: readonly AuditSet[];
  readonly paraphrases: AuditSet | null;
  readonly options: AuditOptions;
  /** As they are. */
  asIs(set: AuditSet): Promise<Pair>;
  under(set: AuditSet, intervention: Intervention): Promise<Pair>;
  /** Greedy completion of the answers: `whole` with nothing of them given, `strength` the share that need not be given. */
  completion(set: AuditSet): Promise<{ readonly whole: Pair; readonly strength: Pair }>;
  /** Both models fine-tuned on half of the forget facts. `asked`: the rows of the other half; `taught`: those of the facts that were taught. */
  relearn(train: RelearnTrain): Promise<Readonly<Record<'asked' | 'taught', { readonly set: AuditSet; readonly under: Pair }>> & Pick<AuditResult, 'settings'>>;
}

/** How the outcome is read in words. `{under}` is what the models were under. */
export interface Words {
  /** `expert allowed` and `expert forbidden`: the edited model as it is, and both models under the audit. */
  readonly asIs: string;
  readonly under: string;
  readonly holds: string;
  readonly partly: string;
  readonly returns: string;
  /** What it means when it returns, a sentence. */
  readonly meaning: string;
}

/** What a run of it costs: rows measured once, and updates of a model. */
export interface Cost {
  readonly rows: number;
  readonly steps: number;
}

export interface Audit {
  readonly descriptor: Descriptor;
  /** One question, with the run's own experts in it. */
  readonly asks: (run: RunFolder) => string;
  /** Why it can't be run, a sentence; null where it can. */
  readonly refusal: (run: RunFolder, options: AuditOptions) => string | null;
  /** It needs a file that the run does not name: the option that does. */
  readonly wantsFile?: 'paraphrases';
  /** What of the options it depends on: a stored result of other ones is measured again. */
  readonly settings: (run: RunFolder, options: AuditOptions) => AuditResult['settings'];
  readonly cost: (run: RunFolder, options: AuditOptions) => Cost;
  readonly measure: (bench: Bench, run: RunFolder) => Promise<Pick<AuditResult, 'sets' | 'settings'>>;
  /** What is asked of the result: whether knowledge returns, or whether a neighbour was spared. */
  readonly words: Words | 'spares';
}

export const usualOptions: AuditOptions = { steps: 10, paraphrases: null };

/** Rows of the run's evaluation sets with these roles. */
export const rowsOf = ({ evaluation }: RunFolder, ...roles: readonly AuditSet['role'][]): number =>
  (evaluation?.sets ?? []).reduce((sum, { role, after }) => sum + (roles.length === 0 || roles.includes(role) ? after.score.n : 0), 0);

/** Each row is measured on both models, as they are and under the audit. */
export const fourTimes = (rows: number): Cost => ({ rows: 4 * rows, steps: 0 });

export const forgetMissing = ({ recipe }: RunFolder): string | null =>
  recipe.evaluate?.forget === undefined || recipe.evaluate.forget === null
    ? 'The recipe names no forget set under "evaluate", so there is nothing to measure.'
    : null;

/** A token needs K experts to choose from. */
export function tooFewExperts({ record, attribution }: RunFolder): string | null {
  for (const { layer, experts } of attribution?.layers ?? []) {
    const own = record.target.experts.filter((target) => target.layer === layer).length;
    const topK = attribution?.topK ?? 0;
    if (own > 0 && experts !== undefined && experts.length - own < topK)
      return `Layer ${layer} has ${experts.length} experts and uses ${topK} for each token, so ${own} of them cannot be forbidden.`;
  }
  return null;
}

/** One set on both models, as they are and under the audit. */
export const audited = ({ role }: Pick<AuditSet, 'role'>, asIs: Pair, under: Pair): AuditResult['sets'][number] => ({
  role,
  before: asIs.original,
  after: asIs.edited,
  underBefore: under.original,
  underAfter: under.edited,
});

/** Every given set under one intervention. */
export async function measured(bench: Bench, sets: readonly AuditSet[], intervention: Intervention): Promise<AuditResult['sets']> {
  const list: AuditResult['sets'][number][] = [];
  for (const set of sets) list.push(audited(set, await bench.asIs(set), await bench.under(set, intervention)));
  return list;
}

export const forgetSets = ({ sets }: Bench): readonly AuditSet[] => sets.filter(({ role }) => role === 'forget');
