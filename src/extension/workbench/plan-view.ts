/** What the plan form shows: the settings beside their preset, and the engine's answer for them. */
import type { MethodDescriptor } from '../../protocol/catalogue';
import type { RunPlan, TimePlan } from '../../protocol/engine';
import { setting } from '../../protocol/numbers';
import type { PlanSettings, PlanTargets, PlanView, WayOut } from '../../protocol/workbench';
import { inWords, planWarnings } from './engine-words';
import { ownPreset, type Preset, presetChoices, presetName, presetOf, settingsOf } from './plan';
import { t } from './text';

export interface PlanForm {
  /** The values that came with the model. */
  readonly own: Preset;
  readonly presetId: string;
  readonly settings: PlanSettings;
  readonly methods: readonly MethodDescriptor[];
  readonly targets: PlanTargets | null;
}

export function planViewOf(
  { own, presetId, settings, methods, targets }: PlanForm,
  answer: PlanView['answer'],
  refusal: string | null,
  isUpdating = false,
): PlanView {
  const preset = presetOf(own, presetId);
  const changed = JSON.stringify(settingsOf(preset)) !== JSON.stringify(settings);
  const presets = presetChoices(own).map((choice) => ({ ...choice, help: inWords(choice.help) }));
  return {
    settings,
    preset: presetName(preset),
    presetId: presets.some(({ id }) => id === presetId) ? presetId : ownPreset,
    presets,
    changed,
    methods: methods.map((method) => ({ ...method, help: inWords(method.help) })),
    targets,
    answer,
    refusal,
    isUpdating,
  };
}

function wayOut(change: RunPlan['waysOut'][number]['change']): Pick<WayOut, 'label' | 'patch'> {
  const { accumulate, batchSize, maxLength, train } = change;
  if (train === 'expert+router') return { label: t('Train expert and router alone'), patch: { train } };
  if (accumulate !== undefined) return { label: t('Cut each batch into {0} parts', setting(accumulate)), patch: { accumulate } };
  if (batchSize !== undefined) return { label: t('Use batch {0}', setting(batchSize)), patch: { batchSize } };
  return { label: t('Keep {0} tokens of a row', setting(maxLength ?? 2)), patch: { maxLength: maxLength ?? 2 } };
}

/** Phases that have work; steps of an earlier run of the same work are known better than planned. */
function timeOf({ phases }: TimePlan, training: number | null): NonNullable<PlanView['answer']>['time'] {
  const known = phases.map(({ name, seconds }) => ({ name: phaseName(name), seconds: name === 'training' && training !== null ? training : seconds }));
  const shown = known.filter(({ seconds }) => seconds > 0);
  return { phases: shown, seconds: shown.reduce((sum, { seconds }) => sum + seconds, 0) };
}

const phaseName = (name: string): string =>
  ({
    attribution: t('finding the expert'),
    preparation: t('preparing'),
    training: t('steps'),
    checks: t('checks'),
    evaluation: t('before and after'),
  })[name] ?? name;

/** The engine's answer with what the page needs besides; `step` is one measured step of the same work, of which the plan has `steps`. */
export function answerOf(plan: RunPlan, step: { readonly seconds: number; readonly run: number } | null, steps: number): NonNullable<PlanView['answer']> {
  const { memory, memoryParts, availableBytes, disk, time, waysOut, ...rest } = plan;
  return {
    ...rest,
    peakBytes: memory.peakBytes,
    budgetBytes: memory.budgetBytes,
    parts: memoryParts,
    freeBytes: Math.min(memory.budgetBytes, availableBytes ?? memory.budgetBytes),
    diskBytes: disk.bytes + disk.activations,
    keptBytes: disk.activations,
    exportBytes: disk.exported,
    diskFree: disk.free,
    step,
    time: time && timeOf(time, step && step.seconds * steps),
    measured: rest.measured.map(inWords),
    notMeasured: rest.notMeasured.map(inWords),
    warnings: planWarnings(rest.warnings),
    // The form has no LoRA to choose.
    waysOut: waysOut
      .filter(({ change }) => typeof change.train !== 'object')
      .map(({ change, peakBytes }) => ({ ...wayOut(change), peakBytes, fits: peakBytes <= memory.budgetBytes })),
  };
}
