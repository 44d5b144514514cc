// docs/paper.md and docs/paper.json from the collected rows. Pure: it decides nothing and reads nothing.
import { claimsOf } from './claims.mjs';
import { returning, scatter } from './figures.mjs';
import { spreadOf } from './statistics.mjs';
import { forgottenAtMost, isAudited, returningAudits, seeds as usualSeeds } from './tables.mjs';

const none = '–';
const percent = (value, digits = 1) => (100 * value).toFixed(digits);
const spread = (value, form = percent) =>
  value === null || value === undefined ? none : value.sd === null ? form(value.mean) : `${form(value.mean)} ± ${form(value.sd)}`;
const whole = (value) => value.toFixed(0);
const share = (value) => percent(value, 2);
const line = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');

const stateOf = ({ planned, done, failed }) => {
  if (done + failed === 0) return '**not run yet**';
  return `${done} of ${planned}${failed > 0 ? `, ${failed} failed` : ''}`;
};

/** Forget score as it is and under each audit, over the seeds that have it; where everything was trained, relearning is of everything. */
export function returnsOf(row) {
  const done = row.runs.filter(({ state }) => state === 'done');
  const under = (id, { audits = {}, full }) => audits[id] ?? (full && id === 'relearn-full' ? audits.relearn : undefined);
  return {
    asIs: row.figures.forget,
    forbidden: row.figures.forbidden,
    ...Object.fromEntries(returningAudits.map((id) => [id, spreadOf(done.map((run) => under(id, run)?.edited))])),
  };
}

const measured = [
  ['FE ↓', ({ figures }) => spread(figures.forget)],
  ['Near ↑', ({ figures }) => spread(figures.near)],
  ['UT ↑', ({ figures }) => spread(figures.utility)],
  ['Forgets', ({ forgotten }) => (forgotten === null ? none : forgotten ? 'yes' : 'no')],
  ['Overlap forget', ({ figures }) => spread(figures.overlapForget)],
  ['Overlap retain', ({ figures }) => spread(figures.overlapRetain)],
  ['Trained, %', ({ figures }) => (figures.share === null ? none : share(figures.share.mean))],
  ['Rate', ({ rate }) => (rate === null ? none : String(rate))],
  ['Steps', ({ figures }) => spread(figures.steps, whole)],
  ['Seconds', ({ figures }) => spread(figures.seconds, whole)],
];

const expertsOf = ({ runs }) => [...new Set(runs.flatMap(({ experts }) => experts ?? []))];

/** As measured on the forget set, whatever the sweep file calls it. */
function affinityText(attribution, experts) {
  const rank = attribution?.ranking.findIndex(({ layer, expert }) => `L${layer}·E${expert}` === experts[0]) ?? -1;
  return rank < 0 ? none : `${rank + 1}, ${attribution.ranking[rank].affinity.toFixed(4)}`;
}

function tableText({ id, title, paper, about, axes, rows, missing, audit, audited, shows = [], order }, attribution, drawn) {
  const searched = rows.some((row) => row.searched.length > 0);
  const columns = measured.filter(([head]) => head !== 'Rate' || searched);
  const targets = shows.includes('target') ? [['Expert', (row) => expertsOf(row).join(', ') || none]] : [];
  if (shows.includes('affinity')) targets.push(['Rank and affinity', (row) => affinityText(attribution, expertsOf(row))]);
  const head = [...axes.map((axis) => axis[0].toUpperCase() + axis.slice(1)), 'Seeds', ...[...targets, ...columns].map(([name]) => name)];
  const lines = rows.map((row) => [...axes.map((axis) => row.labels[axis]), stateOf(row), ...[...targets, ...columns].map(([, cell]) => cell(row))]);
  const failing = rows.filter(({ why }) => why.length > 0).map(({ name, why }) => `- ${name}: ${why.join('; ')}`);
  const returned = audit && [
    '',
    `What returns: FE of the edited model, as it is and under audits (${audit.length === 1 ? `seed ${audit[0]}; as it is and with the expert forbidden: all seeds` : `seeds ${audit.join(', ')}`}). Relearning is asked about facts that it did not teach.`,
    '',
    table(
      [
        ...axes.map((axis) => axis[0].toUpperCase() + axis.slice(1)),
        'Trained, %',
        'As it is',
        'Expert forbidden',
        '4 bit',
        'Relearned, what was trained',
        'Relearned, all parameters',
      ],
      rows
        .filter((row) => isAudited({ audit, audited }, row))
        .map((row) => [
          ...axes.map((axis) => row.labels[axis]),
          row.figures.share === null ? none : share(row.figures.share.mean),
          ...Object.values(returnsOf(row)).map((value) => spread(value)),
        ]),
    ),
  ];
  return [
    `## ${title}`,
    ...(paper === null ? [] : ['', `The paper's ${paper}.`]),
    ...(about === undefined ? [] : ['', `What it is about: [${about}](${about}).`]),
    ...missing.map((name) => `\n\`docs/paper/${name}.sweep.json\` does not exist yet: not run.`),
    ...(order?.method && drawn('paper-methods.svg') ? ['', '![UT against FE](paper-methods.svg)'] : []),
    '',
    table(head, lines),
    ...(failing.length > 0 ? ['', 'Runs that failed:', ...failing] : []),
    ...(returned ?? []),
    ...(id === 'gone' && drawn('paper-returns.svg') ? ['', '![What returns](paper-returns.svg)'] : []),
  ].join('\n');
}

const count = (list, wanted) => list.filter(({ mark }) => mark === wanted).length;

function claimsText(claims) {
  const rows = claims.map(({ where, claim, mark, number }) => [where, claim, `**${mark}**`, number.replaceAll('|', '/')]);
  const against = claims.filter(({ mark }) => mark === 'not reproduced');
  const reasons = [...new Set(against.map(({ why }) => why))];
  const discussed = reasons.flatMap((why) => {
    const own = against.filter((each) => each.why === why).map(({ claim, number }) => `- **${claim}.** ${number}`);
    return [...own, ...(why ? ['', `What differs in the demo: ${why}`, ''] : [''])];
  });
  return [
    '## The claims',
    '',
    `${count(claims, 'reproduced')} reproduced, ${count(claims, 'not reproduced')} not reproduced, ${count(claims, 'not testable here')} not testable here, ${count(claims, 'not run')} not run yet. The rules stand in \`tools/paper/claims.mjs\`: a difference counts where it has the claimed sign and is at least twice its standard error over seeds; utility is compared where both rows forget (FE at most ${percent(forgottenAtMost, 0)} %); a claim is decided when every seed of its rows has ended.`,
    '',
    table(['Paper', 'Claim', 'Mark', 'Number'], rows),
    ...(discussed.length > 0 ? ['', '### What did not come out as in the paper', '', ...discussed] : []),
  ].join('\n');
}

/** Rows that do not forget, and rows that failed, are results: they are named where they would be looked for. */
function missesText(tables) {
  const rows = tables.flatMap(({ title, rows: own }) => own.filter(({ borrowed }) => !borrowed).map((row) => ({ title, row })));
  const misses = rows.filter(({ row }) => row.forgotten === false || (row.failed > 0 && row.done === 0));
  if (misses.length === 0) return [];
  return [
    '## Rows that do not forget',
    '',
    `Mean FE above ${percent(forgottenAtMost, 0)} % with the learning rate chosen as for every row, or every run failed:`,
    '',
    ...misses.map(
      ({ title, row }) =>
        `- ${row.name} (${title}): ${row.figures.forget === null ? `failed: ${row.why[0]}` : `FE ${spread(row.figures.forget)} %${row.runs.some(({ reached }) => typeof reached === 'boolean') ? `; ${row.reached} of ${row.done} runs reached the goal on the stop questions` : ''}`}`,
    ),
    '',
  ];
}

function machineText({ machines, from, to }) {
  if (machines.length === 0) return 'Nothing was run yet.';
  const words = machines.map(({ cpu, cores, backend, uoe, node }) => `${cpu}, ${cores} cores, backend ${backend}, UOE ${uoe}, Node ${node}`);
  return `Measured ${from.slice(0, 10)}${to.slice(0, 10) === from.slice(0, 10) ? '' : ` to ${to.slice(0, 10)}`} on ${words.join('; ')}. Seconds are those of a run among others on the same cores.`;
}

const withoutMachine = (row) => ({ ...row, returns: returnsOf(row), runs: row.runs.map(({ machine: _, ...run }) => run) });

/** Everything that `--report` writes: `{ 'paper.md', 'paper.json', 'paper-methods.svg', 'paper-returns.svg' }`; a figure without data is left out. */
export function documents(collected, { estimate = null, note = null, seeds = usualSeeds } = {}) {
  const claims = claimsOf(collected);
  const { tables } = collected;
  const planned = tables.flatMap(({ rows }) => rows.filter(({ borrowed }) => !borrowed));
  const waiting = planned.filter(({ done, failed }) => done + failed === 0);
  const partly = planned.filter((row) => row.done + row.failed > 0 && row.done + row.failed < row.planned);
  const original = tables.flatMap(({ id, rows }) => (id === 'topics' ? [] : rows.flatMap(({ runs }) => runs.flatMap(({ before }) => before ?? []))))[0] ?? null;
  const grid = tables.find(({ order }) => order?.method);
  const audited = tables.flatMap((each) => each.rows.filter((row) => isAudited(each, row)).map((row) => ({ name: row.name, returns: returnsOf(row) })));
  const figures = {
    'paper-methods.svg': grid ? scatter(grid) : null,
    'paper-returns.svg': returning(audited.filter(({ returns }) => returningAudits.some((id) => returns[id] !== null))),
  };
  const markdown = [
    "# The paper's tables in miniature",
    '',
    '`npm run paper` makes this page, `paper.json` and the figures from run folders alone; a number that is not there was not measured.',
    '',
    waiting.length + partly.length === 0
      ? `All ${planned.length} rows are complete.`
      : `**${waiting.length} of ${planned.length} rows are not run yet${partly.length > 0 ? `, ${partly.length} are not complete` : ''}.**`,
    '',
    machineText(collected),
    '',
    ...(note === null ? [] : [`**${note}**`, '']),
    '## How it was made',
    '',
    `The demo model (1.26 million parameters, 3 layers of 16 experts; \`demo/MADE.md\`) forgets *hazards*. FE is the share of the forget questions answered right (chance 25 %), near that of *medicine*, UT the mean of five retained topics, all in wordings that were never trained; all in %, mean ± sample standard deviation over seeds ${seeds.join(', ')}.${original ? ` The original: FE ${percent(original.forget)}, near ${percent(original.near)}, UT ${percent(original.utility)}.` : ''}`,
    '',
    '- Each table is a file of its own, `docs/paper/*.sweep.json`, run by `uoe sweep`; what they share stands in `docs/paper/recipe.uoe.json`.',
    '- **Learning rates: the same budget for every row.** Two rates, 3 or 3.3 apart, with seed 0: 3e-3 and 1e-2; a tenth of that where all experts or all parameters train; a third (rounded) for GA, which has no retain loss. A run is looked at every 10 steps and ends when at most 30 % of 140 stop questions are answered right, or after 100 steps. Of the rates that reach that, the one that answers most of 100 questions of the retained topics right (`docs/paper/rate-questions.jsonl`, in wordings that were trained) is taken, else the one that forgot most; then seeds 1 and 2 run at it. The evaluation is not looked at. Two rates are few: the best may lie outside.',
    '- So UT is compared at about equal FE. The stop rule is only looked at every 10 steps, so FE differs by a few points.',
    '- The expert is the first by affinity, L2·E10, given by name so that not every run looks for it anew; the topics look for theirs.',
    '- LoRA has the rank of the paper’s trained share (8). The ESFT set is `uoe attribute --esft` at p 0.15: one expert a layer. A random expert is drawn from the other layers, another with each seed. RMU acts after the target’s layer also where more trains.',
    '- Overlap: share of a token’s experts that the original chose too. Trained: share of the parameters. Seconds: a whole run, with evaluation.',
    '',
    claimsText(claims),
    '',
    ...tables.flatMap((each) => [tableText(each, collected.attribution, (name) => figures[name] !== null), '']),
    ...missesText(tables),
    ...(estimate === null ? [] : ['## What it takes', '', estimate, '']),
  ].join('\n');
  const json = {
    original,
    machines: collected.machines,
    from: collected.from,
    to: collected.to,
    claims: claims.map(({ where, claim, mark, number }) => ({ where, claim, mark, number })),
    tables: Object.fromEntries(tables.map(({ id, paper, rows }) => [id, { paper, rows: rows.map(withoutMachine) }])),
  };
  return {
    'paper.md': `${markdown.trimEnd()}\n`,
    'paper.json': `${JSON.stringify(json, null, 1)}\n`,
    ...Object.fromEntries(Object.entries(figures).filter(([, svg]) => svg !== null)),
  };
}

/** How a rerun's means stand to committed ones: within their standard deviation, or half a point where that is smaller. */
export function withinSpread(committed, rerun) {
  const outside = [];
  let compared = 0;
  for (const [id, { rows }] of Object.entries(rerun?.tables ?? {})) {
    for (const row of rows) {
      const old = committed?.tables?.[id]?.rows.find(({ name }) => name === row.name);
      for (const figure of ['forget', 'near', 'utility', 'overlapForget', 'overlapRetain']) {
        const [before, now] = [old?.figures[figure], row.figures[figure]];
        if (!before || !now || before.n !== now.n) continue;
        compared += 1;
        if (Math.abs(now.mean - before.mean) > Math.max(before.sd ?? 0, 0.005))
          outside.push(`${row.name}, ${figure}: ${spread(now)} %, committed ${spread(before)} %`);
      }
    }
  }
  return { compared, outside };
}
