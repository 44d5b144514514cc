import { InvalidArgumentError, Option } from 'commander';
import { textTable } from '../../experiment/table';
import { writeJson } from '../../files/atomic-write';
import type { MapParams } from '../../protocol/engine';
import { unwrap } from '../../protocol/fault';
import { isExpert, type KnowledgeMap, type MapComponent, type MapEffect, type MapPlan } from '../../protocol/knowledge-map';
import { bytes, count, difference, duration, expertName, fraction } from '../../protocol/numbers';
import { collected, readingOf, readingOptions, scoringOf, scoringOptions, whole } from '../options';
import { fileSources } from '../sources';
import { verb } from '../verb';

interface Own {
  readonly prompts: readonly string[];
  readonly against?: readonly string[];
  readonly affinityOf?: readonly string[];
  readonly layers?: readonly number[];
  readonly by?: 'zero' | 'forbid';
  readonly rows?: number;
  readonly plan?: boolean;
  readonly again?: boolean;
  readonly to?: string;
}

/** `2`, `1-3`, `0,2-4` */
function layerList(text: string): readonly number[] {
  const layers = text.split(',').flatMap((part) => {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (!match || last < first || last - first > 10_000) throw new InvalidArgumentError('It is a list of layers such as 2 or 0,2-4.');
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return [...new Set(layers)].sort((a, b) => a - b);
}

const shownComponents = 20;

const nameOf = (component: MapComponent): string => (isExpert(component) ? expertName(component) : `L${component.layer}·${component.kind}`);

const points = (value: number): string => `${value < 0 ? '−' : '+'}${(Math.abs(value) * 100).toFixed(1)}`;

/** Effect in points of the score with its interval; 0 where no row is touched. */
const effectText = (effect: MapEffect | null): string => {
  if (!effect) return '';
  const [low, high] = effect.interval ?? [];
  return low === undefined || high === undefined ? points(effect.score) : `${points(effect.score)} [${points(low)}, ${points(high)}]`;
};

const hints = { used: 'much used, little effect', hidden: 'much effect, little used' };

function table({ components, retain }: KnowledgeMap): string {
  const experts = components.filter(isExpert).length;
  const shown = [...components].sort((a, b) => a.rank - b.rank).slice(0, shownComponents);
  const rest = components.filter((component) => component.disagrees === 'used' && !shown.includes(component));
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    right('Rank'),
    { title: 'Component', align: 'left' as const },
    right('Effect on forget'),
    right('NLL'),
    ...(retain ? [right('Effect on retain'), right('NLL'), right('Specific')] : []),
    right('Affinity'),
    right(`Rank of ${experts}`),
    { title: '', align: 'left' as const },
  ];
  const rows = [...shown, ...rest].map((one) => [
    { text: String(one.rank) },
    { text: nameOf(one) },
    { text: effectText(one.forget) },
    { text: difference(one.forget.nll) },
    ...(retain
      ? [
          { text: effectText(one.retain) },
          { text: one.retain ? difference(one.retain.nll) : '' },
          { text: one.specificity === null ? '' : points(one.specificity) },
        ]
      : []),
    { text: one.affinity === null ? '' : fraction(one.affinity) },
    { text: one.affinityRank === null ? '' : String(one.affinityRank) },
    { text: one.disagrees ? hints[one.disagrees] : '' },
  ]);
  return textTable(columns, rows);
}

const setText = ({ names, rows, kind, score, nll }: NonNullable<KnowledgeMap['retain']>): string =>
  `${names.join(', ')}: ${count(rows)} rows, ${kind === 'accuracy' ? 'accuracy' : 'exp(−NLL)'} ${fraction(score)}, NLL ${nll.toFixed(3)}`;

function textOf(map: KnowledgeMap): string {
  const { agreement, components, forget, retain, by } = map;
  const rho = (value: number | null) => (value === null ? 'not defined' : value.toFixed(2).replace('-', '−'));
  const listed = (kind: MapComponent['disagrees']) => components.filter(({ disagrees }) => disagrees === kind).map(nameOf);
  const sentence = (names: readonly string[], text: string) => (names.length > 0 ? ` ${text}: ${names.join(', ')}.` : '');
  return [
    table(map),
    '',
    `Forget, ${setText(forget)}.`,
    ...(retain ? [`Retain, ${setText(retain)}.`] : []),
    `Effects are points of the score lost ${by === 'zero' ? 'with the component’s output left out (zero)' : 'with the expert forbidden'}, 95 % paired bootstrap; NLL is the rise of the answers’ mean NLL; "specific" is forget less retain.`,
    `Affinity and effect over ${agreement.experts} experts: rank correlation ${rho(agreement.score)} by score, ${rho(agreement.nll)} by NLL.${sentence(listed('used'), 'Among the most used, not among those with most effect')}${sentence(listed('hidden'), 'Among those with most effect, not among the most used')}`,
    `${count(map.rowPasses)} rows through layers in ${duration(map.seconds)} on ${map.backend.name}.`,
  ].join('\n');
}

const planText = ({ components, rows, rowPasses, wholePasses, seconds, bytesToRead, known }: MapPlan): string =>
  `${count(components)} components on ${count(rows.forget)} forget${rows.retain > 0 ? ` and ${count(rows.retain)} retain` : ''} rows: about ${count(rowPasses)} rows through layers (${((100 * rowPasses) / Math.max(1, wholePasses)).toFixed(1)} % of whole passes), ${bytes(bytesToRead)} to read, about ${duration(seconds)}.${known ? ' It was measured before: nothing is computed.' : ''}`;

export const map = verb<[model: string], Own>({
  name: 'map',
  summary: 'Measure where knowledge lives: the effect of leaving out each expert, shared expert, attention and dense block, beside affinity',
  arguments: [['<model>', 'checkpoint folder']],
  options: [
    new Option('--prompts <file>', 'rows of what is to be forgotten; may be given several times').argParser(collected).makeOptionMandatory(),
    new Option('--against <file>', 'rows of what is to stay; may be given several times').argParser(collected),
    new Option('--affinity-of <file>', 'prompts whose affinity is shown beside (default: the rows of --prompts)').argParser(collected),
    new Option('--layers <list>', 'layers whose components are left out, such as 2 or 0,2-4 (default: all)').argParser((text) => layerList(text)),
    new Option('--by <way>', 'zero: an output is left out. forbid: experts may not be chosen, and the next-best takes its place (default: zero)').choices([
      'zero',
      'forbid',
    ]),
    new Option('--rows <n>', 'at most so many rows of each set, spread over it').argParser((text) => whole(1)(text)),
    new Option('--plan', 'only say what it would cost'),
    new Option('--again', 'measure again what .uoe/maps holds already'),
    new Option('--to <file>', 'write the map as JSON'),
    new Option('--run <run>', 'measure with the result of a run (id, number or folder) applied'),
    new Option('--patch <file>', 'measure with a patch file applied'),
    ...readingOptions(),
    ...scoringOptions(),
  ],
  example: 'uoe map demo/checkpoint --prompts demo/data/eval/forget.jsonl --against demo/data/eval/retain.jsonl --document-start yes --normalise tokens',
  async run({ request, workspace, note }, [model], options) {
    const { prompts, against, affinityOf, layers, by, rows, plan, again, to, run, patch } = options;
    const params: MapParams = {
      model,
      forget: fileSources(prompts),
      ...(against ? { retain: fileSources(against) } : {}),
      ...(affinityOf ? { prompts: fileSources(affinityOf) } : {}),
      layers,
      by,
      rows,
      run,
      patch,
      workspace,
      ...readingOf(options),
      ...scoringOf(options),
    };
    if (plan) {
      const cost = await request('planMap', params);
      return { json: cost, text: planText(cost) };
    }
    const known = again ? null : await request('measureMap', { ...params, known: true });
    if (known) note(`Measured ${known.measuredAt.slice(0, 10)}, read from .uoe/maps; --again measures anew.`);
    else note(planText(await request('planMap', params)));
    const measured = known ?? (await request('measureMap', { ...params, again }));
    if (!measured) throw new Error('A measurement gave no map.');
    if (to !== undefined) {
      unwrap(await writeJson(to, measured));
      note(`Wrote ${to}.`);
    }
    return { json: measured, text: textOf(measured), done: true };
  },
});
