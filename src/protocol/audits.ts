/** What audits.json holds, and what a request to audit answers. */
import type { AuditView, VerdictWords } from './comparison-view';
import type { SetScore } from './records';

/** One set on both models, as they are and under the audit, row by row. */
export interface AuditedSet {
  readonly role: 'forget' | 'near' | 'utility';
  readonly before: SetScore;
  readonly after: SetScore;
  readonly underBefore: SetScore;
  readonly underAfter: SetScore;
}

export interface AuditResult {
  /** What was done: forbidden experts, steps, bits. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly sets: readonly AuditedSet[];
  readonly seconds: number;
}

/** audits.json: results by the audit's id. */
export interface AuditRecord {
  readonly run: string;
  readonly audits: Readonly<Record<string, AuditResult>>;
}

export interface AuditAnswer extends AuditRecord {
  /** The same in words, every audit of this version in its order. */
  readonly views: readonly AuditView[];
  /** Of those asked for: what could not be run, and why. */
  readonly left: readonly { readonly audit: string; readonly why: string }[];
  /** The audit that speaks most against the result; null where none was run. */
  readonly worst: VerdictWords | null;
}
