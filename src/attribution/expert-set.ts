/** ESFT's expert sets: {"experts": {"<layer>": [ids]}, "shared_experts": false, "non_expert_modules": false} (method.md section 1). */
import { fail, ok, type Result } from '../protocol/fault';
import { jsonExcess } from '../protocol/json-excess';
import type { AttributionRecord, ExpertId } from '../protocol/records';

export interface ExpertSet {
  readonly experts: Readonly<Record<string, readonly number[]>>;
  readonly shared_experts: false;
  readonly non_expert_modules: false;
}

export function parseExpertSet(text: string, file: string): Result<readonly ExpertId[]> {
  const remedy = 'It should read {"experts": {"2": [10, 5]}, "shared_experts": false, "non_expert_modules": false}.';
  const excess = jsonExcess(text);
  if (excess !== null) return fail('bad-data', `${file} ${excess}.`, remedy);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return fail('bad-data', `${file} is not JSON.`, remedy);
  }
  const experts = (parsed as { experts?: unknown } | null)?.experts;
  if (typeof experts !== 'object' || experts === null || Array.isArray(experts)) return fail('bad-data', `${file} has no "experts" by layer.`, remedy);
  const flags = parsed as { shared_experts?: unknown; non_expert_modules?: unknown };
  if (flags.shared_experts === true || flags.non_expert_modules === true) {
    return fail(
      'unsupported',
      `${file} asks to train shared experts or other modules.`,
      'This version trains routed experts and routers only: set both to false.',
    );
  }
  const list: ExpertId[] = [];
  for (const [layer, ids] of Object.entries(experts)) {
    if (!/^\d+$/.test(layer) || !Array.isArray(ids) || !ids.every((id) => Number.isInteger(id)))
      return fail('bad-data', `${file}: the experts of layer "${layer}" are not a list of numbers.`, remedy);
    for (const expert of ids as number[]) list.push({ layer: Number(layer), expert });
  }
  return list.length > 0 ? ok(list) : fail('bad-data', `${file} names no expert.`, remedy);
}

/** Named experts in ESFT's form. */
export function expertSetOf(ids: readonly ExpertId[]): ExpertSet {
  const experts: Record<string, number[]> = {};
  for (const { layer, expert } of ids) experts[String(layer)] = [...(experts[String(layer)] ?? []), expert];
  return { experts, shared_experts: false, non_expert_modules: false };
}

/** ESFT's choice: per layer the smallest set whose scores (normalised within the layer) reach p. Gate score = affinity, token score = share. */
export function expertSet(record: AttributionRecord, score: 'affinity' | 'share', p: number): ExpertSet {
  const experts: Record<string, number[]> = {};
  for (const { layer, experts: own } of record.layers) {
    const total = own.reduce((sum, expert) => sum + expert[score], 0);
    const chosen: number[] = [];
    let reached = 0;
    for (const expert of [...own].sort((a, b) => b[score] - a[score] || a.expert - b.expert)) {
      if (total === 0 || reached >= p * total) break;
      chosen.push(expert.expert);
      reached += expert[score];
    }
    experts[String(layer)] = chosen;
  }
  return { experts, shared_experts: false, non_expert_modules: false };
}
