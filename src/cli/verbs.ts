/** Every verb, in the order of --help. Adding one: its file, and its line here. */
import type { Verb } from './verb';
import { apply } from './verbs/apply';
import { attribute } from './verbs/attribute';
import { audit } from './verbs/audit';
import { compare } from './verbs/compare';
import { demo } from './verbs/demo';
import { doctor } from './verbs/doctor';
import { evaluate } from './verbs/evaluate';
import { exportVerb } from './verbs/export';
import { generate } from './verbs/generate';
import { gradients } from './verbs/gradients';
import { inspect } from './verbs/inspect';
import { map } from './verbs/map';
import { mcp } from './verbs/mcp';
import { merge } from './verbs/merge';
import { metrics } from './verbs/metrics';
import { preview } from './verbs/preview';
import { report } from './verbs/report';
import { restore } from './verbs/restore';
import { runs } from './verbs/runs';
import { score } from './verbs/score';
import { setupNative } from './verbs/setup-native';
import { sweep } from './verbs/sweep';
import { unlearn } from './verbs/unlearn';

export const verbs: readonly Verb[] = [
  inspect,
  preview,
  attribute,
  map,
  score,
  merge,
  generate,
  unlearn,
  evaluate,
  audit,
  compare,
  sweep,
  runs,
  report,
  metrics,
  exportVerb,
  apply,
  restore,
  gradients,
  mcp,
  doctor,
  setupNative,
  demo,
];
