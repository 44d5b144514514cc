/** Seconds of a run before it begins, phase by phase: what its recipe has to compute and read, at the speed a sample of its own model has here. */
import type { OpenModel } from '../passes/model';
import { weightLimits } from '../passes/model';
import type { TimePlan } from '../protocol/engine';
import { backendInUse } from '../tensor/backend';
import type { WeightStore } from '../weights/store';
import type { OpenedRecipe, ReadSet } from './open-recipe';
import { type PhaseConditions, type PhaseSets, phaseNames, phasesOf, type SetRows } from './run-phases';
import { nothingTrains, type SampledTraining, type SpeedSample, sampleSpeed, secondsOf } from './speed-sample';
import { flopsOf, pieceNames, type Work } from './work-plan';

const rowsOf = (set: ReadSet | null): SetRows => ({
  lengths: set?.sequences.map(({ ids }) => ids.length) ?? [],
  targets: set?.sequences.map(({ targetMask }) => targetMask.reduce((sum: number, one) => sum + one, 0)) ?? [],
});

export function phaseSets({ forget, retain, checks, evaluate }: OpenedRecipe): PhaseSets {
  return {
    forget: rowsOf(forget),
    retain: rowsOf(retain),
    checks: checks ? [checks.forget, ...checks.utility].map(rowsOf) : [],
    evaluate: [
      ...(evaluate?.forget ? [{ role: 'forget' as const, ...rowsOf(evaluate.forget) }] : []),
      ...(evaluate?.near ? [{ role: 'near' as const, ...rowsOf(evaluate.near) }] : []),
      ...(evaluate?.utility ?? []).map((set) => ({ role: 'utility' as const, ...rowsOf(set) })),
    ],
  };
}

/** A sample holds for so long: other programs come and go. */
const sampleLivesMs = 10 * 60 * 1000;
const samples = new WeakMap<WeightStore, Map<string, { readonly at: number; readonly sample: SpeedSample }>>();

/** Mean length of a row in powers of two: what a sample is made with. */
function typicalLength({ forget, retain }: PhaseSets): number {
  const lengths = [...forget.lengths, ...retain.lengths];
  const mean = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
  return 2 ** Math.max(2, Math.min(9, Math.round(Math.log2(Math.max(1, mean)))));
}

/** The speed of a model's pieces on rows of this length, measured now or a short while ago. */
export async function speedHere(model: OpenModel, length: number, signal?: AbortSignal, training = nothingTrains): Promise<SpeedSample> {
  const { name, threads } = backendInUse();
  const key = [name, threads, length, ...[...training.trained].sort(), ...(training.adapts ? ['adapts'] : [])].join(' ');
  const known = samples.get(model.weights) ?? new Map<string, { at: number; sample: SpeedSample }>();
  samples.set(model.weights, known);
  const last = known.get(key);
  if (last && performance.now() - last.at < sampleLivesMs) return last.sample;
  const sample = await sampleSpeed(model, length, training, signal);
  known.set(key, { at: performance.now(), sample });
  return sample;
}

/** What of a run trains. */
const trainingIn = (works: readonly Work[]): SampledTraining => ({
  trained: new Set(pieceNames.filter((piece) => works.some(({ trained }) => trained[piece].flops > 0))),
  adapts: works.some(({ adapted }) => adapted > 0),
});

/** Bytes that no phase before has read, of a checkpoint that memory could hold: only they come from the disk. */
function coldBytes(works: readonly Work[], total: number, budget: number): number[] {
  const fits = total <= budget;
  let seen = 0;
  return works.map(({ bytes }) => {
    if (!fits) return bytes;
    const cold = Math.min(bytes, total - seen);
    seen += cold;
    return cold;
  });
}

/** `free`: bytes of memory in which the system keeps what was read. */
export async function planTime(opened: OpenedRecipe, conditions: PhaseConditions, free: number, signal?: AbortSignal): Promise<TimePlan> {
  const { recipe, handle } = opened;
  const { model, checkpoint } = handle;
  const sets = phaseSets(opened);
  const phases = phasesOf(model, recipe, sets, conditions);
  const works = phaseNames.map((name) => phases[name]);
  const speed = await speedHere(model, typicalLength(sets), signal, trainingIn(works));
  const cold = coldBytes(works, checkpoint.totalBytes, free);
  const ahead = weightLimits(checkpoint, recipe.memory).aheadBytes > 0;
  const planned = phaseNames.map((name, i) => {
    const { reading, computing, total } = secondsOf(works[i], speed, cold[i], ahead);
    return { name, bytesToRead: Math.round(works[i].bytes), flops: Math.round(flopsOf(works[i])), reading, computing, seconds: total };
  });
  return { phases: planned, seconds: planned.reduce((sum, { seconds }) => sum + seconds, 0), sampleSeconds: speed.seconds };
}
