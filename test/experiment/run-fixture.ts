import type { RunFolder } from '../../src/protocol/engine';
import type { EvaluationRecord, RunRecord, SetScore } from '../../src/protocol/records';

/** A finished run with invented figures. */
export const runRecord = (rest: Partial<RunRecord> = {}): RunRecord => ({
  id: '2026-11-23T10-15-02-npo',
  number: 1,
  status: 'stopped',
  reason: 'Stopped at step 40 of 100: the forget score was at most 0.3.',
  method: 'npo',
  model: '/models/demo-moe',
  target: { experts: [{ layer: 2, expert: 10 }], train: 'expert+router' },
  steps: 40,
  plannedSteps: 100,
  keptStep: 40,
  startedAt: '2026-11-23T10:15:02.000Z',
  endedAt: '2026-11-23T10:15:20.000Z',
  versions: { uoe: '0.1.0', node: '20.0.0' },
  backend: { name: 'wasm', threads: 2 },
  machine: { cpu: 'two cores', cores: 2, memory: 8e9 },
  seconds: { attribution: 2.5, training: 12, evaluation: 3.5 },
  summary: {
    forget: { before: 0.98, after: 0.28 },
    near: { before: 0.967, after: 0.85 },
    utility: { before: 0.994, after: 0.989 },
    overlapForget: 0.71,
    overlapRetain: 0.93,
    targetShare: { before: 0.66, after: 0.97 },
    roundingLoss: 0.0012,
    trainedParameters: 19968,
    trainedShare: 0.0158,
  },
  ...rest,
});

/** A set of questions of one topic, `right` of `rows` correct, the first ones. */
export function questionSet(name: string, topic: string, right: number, rows: number, blind = 0.25): SetScore {
  const perExample = Array.from({ length: rows }, (_, i) => ({ id: `${topic}-${i}`, value: i < right ? 1 : 0, topic }));
  const value = right / rows;
  return {
    name,
    kind: 'accuracy',
    score: { value, n: rows, interval: [Math.max(0, value - 0.05), Math.min(1, value + 0.05)], perExample },
    topics: { [topic]: { accuracy: value, rows, blind } },
    nll: 1.5,
    blind,
  };
}

export const evaluationRecord = (): EvaluationRecord => ({
  sets: [
    {
      role: 'forget',
      before: questionSet('eval/forget.jsonl', 'hazards', 98, 100),
      after: questionSet('eval/forget.jsonl', 'hazards', 28, 100),
      forbiddenBefore: questionSet('eval/forget.jsonl', 'hazards', 95, 100),
      forbiddenAfter: questionSet('eval/forget.jsonl', 'hazards', 94, 100),
    },
    { role: 'near', before: questionSet('eval/near.jsonl', 'medicine', 97, 100), after: questionSet('eval/near.jsonl', 'medicine', 85, 100) },
    { role: 'utility', before: questionSet('eval/retain.jsonl', 'geography', 99, 100), after: questionSet('eval/retain.jsonl', 'geography', 99, 100) },
  ],
  routing: { overlapForget: 0.71, overlapRetain: 0.93, targetShareBefore: 0.66, targetShareAfter: 0.97 },
});

const ranked = (layer: number, expert: number, affinity: number, share: number) => ({ layer, expert, affinity, share });

export const runFolder = (rest: Partial<RunFolder> = {}): RunFolder => ({
  record: runRecord(),
  recipe: {
    model: '/models/demo-moe',
    forget: '/data/forget.jsonl',
    retain: '/data/retain.jsonl',
    method: 'npo',
    anchor: { weight: 1, form: 'paper' },
    optimizer: { lr: 0.003 },
  },
  steps: Array.from({ length: 40 }, (_, i) => ({
    step: i + 1,
    forget: 2 - 0.04 * i,
    retain: 0.3 + 0.001 * i,
    anchor: 0.9 - 0.01 * i,
    total: 3,
    gradNorm: 1,
    lr: 0.003,
    targetShare: 0.66 + 0.005 * i,
    overlapForget: 1 - 0.005 * i,
    overlapRetain: 0.99,
    ms: 50,
  })),
  checks: [{ step: 0, forget: 0.98, utility: 0.99, utilityNll: 0.4, overlapForget: 1, overlapRetain: 1, targetShare: 0.66, ms: 300 }],
  attribution: {
    family: 'qwen2_moe',
    sequences: 1758,
    tokens: 40000,
    topK: 2,
    layers: [],
    ranking: [ranked(2, 10, 0.393, 0.33), ranked(1, 3, 0.226, 0.29), ranked(3, 8, 0.217, 0.22)],
    target: ranked(2, 10, 0.393, 0.33),
    stability: { halves: 10, sameTarget: 1, topOverlap: 0.94 },
  },
  evaluation: evaluationRecord(),
  audits: null,
  ...rest,
});
