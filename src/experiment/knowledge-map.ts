/** The knowledge map from ablations and an attribution: effects with their intervals, ranks, where affinity and effect disagree; and its file. */
import path from 'node:path';
import type { Ablated } from '../audit/ablate';
import { spearman } from '../evaluate/rank-correlation';
import { writeJson } from '../files/atomic-write';
import { exists, makeFolder } from '../files/folder';
import { readJson } from '../files/read';
import { sha256Of } from '../files/sha256';
import { unwrap } from '../protocol/fault';
import { isExpert, type KnowledgeMap, type MapComponent, type MapEffect, type MapSet } from '../protocol/knowledge-map';
import type { ExpertId, SetScore } from '../protocol/records';
import { pairedScores } from './paired-scores';

/** Raised when a stored map would be read as something else than it says. */
const version = 1;

/** `uoeFolder`: the workspace's `.uoe`. */
const mapFile = (uoeFolder: string, key: string): string => path.join(uoeFolder, 'maps', `${key}.json`);

/** Name of a map: a hash of all that it depends on. */
export const mapKey = (dependsOn: readonly unknown[]): string =>
  sha256Of(JSON.stringify([version, ...dependsOn])).slice('sha256:'.length, 'sha256:'.length + 24);

/** Null where it was not measured, or its file is not one of ours. */
export async function readMap(uoeFolder: string, key: string): Promise<KnowledgeMap | null> {
  const at = mapFile(uoeFolder, key);
  const found = await exists(at);
  if (!found.ok || !found.value) return null;
  const read = await readJson(at);
  const map = read.ok ? (read.value as Partial<KnowledgeMap> | null) : null;
  return map?.key === key && Array.isArray(map.components) ? (map as KnowledgeMap) : null;
}

export async function writeMap(uoeFolder: string, map: KnowledgeMap): Promise<void> {
  const at = mapFile(uoeFolder, map.key);
  unwrap(await makeFolder(path.dirname(at)));
  unwrap(await writeJson(at, map));
}

function effectOf(original: SetScore, without: SetScore, rows: number): MapEffect {
  if (rows === 0) return { score: 0, interval: null, nll: 0, rows };
  const change = pairedScores([original], [without]);
  const [low, high] = change?.interval ?? [];
  return {
    score: original.score.value - without.score.value,
    interval: low === undefined || high === undefined ? null : [0 - high, 0 - low],
    nll: without.nll - original.nll,
    rows,
  };
}

/** First by one measure: this share of the experts, at least so many. Not among the first by the other: beyond twice as many. */
const firstShare = 0.1;
const firstLeast = 3;

type Measured = Pick<MapComponent, 'kind' | 'layer' | 'expert' | 'forget' | 'retain' | 'specificity' | 'affinity'>;

const byEffect = (a: Measured, b: Measured): number => b.forget.score - a.forget.score || b.forget.nll - a.forget.nll;

/** Rank from 1 of each, in the order of the list; equal ones keep their order. */
function ranksBy<A>(list: readonly A[], compare: (a: A, b: A) => number): Map<A, number> {
  return new Map([...list].sort(compare).map((one, i) => [one, i + 1]));
}

/** By affinity and by the rise of NLL, which tells experts apart where the score has no room; of equal ones the kinder rank counts. */
function disagreement({ forget, affinity }: Measured, experts: readonly Measured[]): MapComponent['disagrees'] {
  const first = Math.max(firstLeast, Math.ceil(experts.length * firstShare));
  const above = (of: (one: Measured) => number, own: number) => experts.filter((one) => of(one) > own).length;
  const notBelow = (of: (one: Measured) => number, own: number) => experts.filter((one) => of(one) >= own).length;
  const nll = (one: Measured) => one.forget.nll;
  const used = (one: Measured) => one.affinity ?? 0;
  if (notBelow(used, affinity ?? 0) <= first && notBelow(nll, forget.nll) > 2 * first) return 'used';
  return notBelow(nll, forget.nll) <= first && above(used, affinity ?? 0) >= 2 * first ? 'hidden' : null;
}

/** `affinity` of an expert to the prompts. Scores are those of forget, then of retain where there is one. */
export function componentsOfMap(original: readonly SetScore[], ablated: readonly Ablated[], affinity: (id: ExpertId) => number): MapComponent[] {
  const measured = ablated.map(({ component, scores, rows }): Measured => {
    const forget = effectOf(original[0], scores[0], rows[0]);
    const retain = original.length > 1 ? effectOf(original[1], scores[1], rows[1]) : null;
    return {
      ...component,
      forget,
      retain,
      specificity: retain && forget.score - retain.score,
      affinity: component.kind === 'expert' ? affinity(component) : null,
    };
  });
  const rank = ranksBy(measured, byEffect);
  const experts = measured.filter(isExpert);
  const affinityRank = ranksBy<Measured>(experts, (a, b) => (b.affinity ?? 0) - (a.affinity ?? 0));
  const effectRank = ranksBy<Measured>(experts, (a, b) => b.forget.nll - a.forget.nll);
  return measured.map((one) => {
    const own = affinityRank.get(one) ?? null;
    return {
      ...one,
      rank: rank.get(one) as number,
      affinityRank: own,
      effectRank: effectRank.get(one) ?? null,
      disagrees: own === null ? null : disagreement(one, experts),
    };
  });
}

export function agreementOf(components: readonly MapComponent[]): KnowledgeMap['agreement'] {
  const experts = components.filter(isExpert);
  const affinities = experts.map(({ affinity }) => affinity ?? 0);
  const against = (of: (effect: MapEffect) => number) =>
    spearman(
      affinities,
      experts.map(({ forget }) => of(forget)),
    );
  return { score: against(({ score }) => score), nll: against(({ nll }) => nll), experts: experts.length };
}

export const setOfMap = (names: readonly string[], { kind, score, nll }: SetScore): MapSet => ({
  names,
  rows: score.n,
  kind: kind === 'accuracy' ? 'accuracy' : 'probability',
  score: score.value,
  nll,
});
