/** Who answers which request, and in which queue. Adding a request: its types in protocol/engine.ts, its file, its line here. */
import type { RequestName } from '../protocol/rpc';
import type { Handler, LaneName } from './call';
import { answers } from './handlers/answers';
import { attribute } from './handlers/attribute';
import { audit } from './handlers/audit';
import { chosenRows } from './handlers/chosen-rows';
import { compare } from './handlers/compare';
import { doctor } from './handlers/doctor';
import { evaluate } from './handlers/evaluate';
import { expertSet } from './handlers/expert-set';
import { applyRun, exportRun, restoreModel } from './handlers/export-run';
import { generate } from './handlers/generate';
import { gradients } from './handlers/gradients';
import { handshake } from './handlers/handshake';
import { measureMap, planMap } from './handlers/knowledge-map';
import { planNativeSetup, removeNativeSetup, setUp } from './handlers/native-setup';
import { closeModel, openModel } from './handlers/open-model';
import { planRun } from './handlers/plan-run';
import { preview } from './handlers/preview';
import { resolveWrittenRecipe } from './handlers/recipe';
import { report } from './handlers/report';
import { runChanges, verifyExport } from './handlers/run-changes';
import { readRun, runs } from './handlers/runs';
import { score } from './handlers/score';
import { startRun, steerRun } from './handlers/start-run';
import { tokenGates } from './handlers/token-gates';

export interface Entry<K extends RequestName> {
  readonly answer: Handler<K>;
  /** null: answered at once, beside whatever is going on. */
  readonly lane: LaneName | null;
  /**
   * A cancel is answered at once, however slow the disk: nothing but caches is written, and what is under way ends where it next looks.
   * Anything else answers when it has ended.
   */
  readonly leaves: boolean;
}

const atOnce = <K extends RequestName>(answer: Handler<K>): Entry<K> => ({ answer, lane: null, leaves: true });
const reading = <K extends RequestName>(answer: Handler<K>): Entry<K> => ({ answer, lane: 'reading', leaves: true });
/** As reading, and files are written for the user. */
const filing = <K extends RequestName>(answer: Handler<K>): Entry<K> => ({ answer, lane: 'reading', leaves: false });
const running = <K extends RequestName>(answer: Handler<K>): Entry<K> => ({ answer, lane: 'running', leaves: false });

export const handlers: { readonly [K in RequestName]: Entry<K> } = {
  handshake: atOnce(handshake),
  openModel: reading(openModel),
  closeModel: reading(closeModel),
  preview: reading(preview),
  attribute: reading(attribute),
  chosenRows: atOnce(chosenRows),
  tokenGates: reading(tokenGates),
  resolveRecipe: atOnce(resolveWrittenRecipe),
  planRun: reading(planRun),
  startRun: running(startRun),
  steerRun: atOnce(steerRun),
  runs: atOnce(runs),
  readRun: atOnce(readRun),
  answers: reading(answers),
  exportRun: running(exportRun),
  runChanges: reading(runChanges),
  verifyExport: reading(verifyExport),
  applyRun: running(applyRun),
  restoreModel: running(restoreModel),
  score: filing(score),
  generate: reading(generate),
  gradients: filing(gradients),
  evaluate: reading(evaluate),
  audit: filing(audit),
  planMap: reading(planMap),
  measureMap: reading(measureMap),
  compare: atOnce(compare),
  report: reading(report),
  expertSet: atOnce(expertSet),
  doctor: reading(doctor),
  planNative: atOnce(planNativeSetup),
  setUpNative: { ...atOnce(setUp), leaves: false },
  removeNative: { ...atOnce(removeNativeSetup), leaves: false },
};
