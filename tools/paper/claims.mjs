// The paper's claims, each with the rule by which the figures decide. Pure: tables in, marks out; what was not run is never decided.

import { differenceError, spearman } from './statistics.mjs';
import { forgottenAtMost } from './tables.mjs';

export const marks = ['reproduced', 'not reproduced', 'not testable here', 'not run'];

const untestable = (number) => ({ mark: 'not testable here', number });

const points = (value) => `${(100 * value).toFixed(1)} %`;
const signed = (value) => `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)} points`;
const shown = ({ mean, sd }) => (sd === null ? points(mean) : `${(100 * mean).toFixed(1)} ± ${(100 * sd).toFixed(1)} %`);

const notRun = (rows) => ({
  mark: 'not run',
  number: rows.map(({ name, done, planned }) => `${name}: ${done} of ${planned} seeds`).join('; '),
});

/** Every planned run has come to an end, done or failed; one alone has no spread to decide by. */
const complete = (row) => row.planned > 1 && row.done + row.failed === row.planned;
const present = (wanted, name) => wanted ?? { name, done: 0, failed: 0, planned: 0 };

/** `a` is larger than `b` beyond twice the standard error of the difference. */
function larger(a, b) {
  const error = differenceError(a, b);
  const difference = a.mean - b.mean;
  return {
    difference,
    known: error !== null,
    holds: error !== null && difference > 0 && difference >= 2 * error,
    within: error !== null && Math.abs(difference) < 2 * error,
  };
}

/** Utility at equal FE: both rows forget, and `better` keeps more. One that does not forget at all can't be compared, unless it also keeps less. */
function keepsMore(better, worse) {
  if (!complete(better) || !complete(worse)) return notRun([better, worse]);
  const described = (row) =>
    row.figures.utility === null ? `${row.name}: all seeds failed` : `${row.name}: UT ${shown(row.figures.utility)} at FE ${shown(row.figures.forget)}`;
  const number = `${described(better)}; ${described(worse)}`;
  if (!better.forgotten) {
    const mark = worse.forgotten ? 'not reproduced' : 'not testable here';
    return { mark, number: `${number}. ${worse.forgotten ? `${better.name} does` : 'Both do'} not forget (FE above ${points(forgottenAtMost)}).` };
  }
  if (worse.figures.utility === null) return { mark: 'reproduced', number };
  const { difference, known, holds, within } = larger(better.figures.utility, worse.figures.utility);
  const told = `UT ${signed(difference)}. ${number}.`;
  if (!known) return untestable(`${number}. One seed alone has no spread.`);
  if (!worse.forgotten && difference <= 0) return { mark: 'not testable here', number: `${told} ${worse.name} does not forget, so FE is not equal.` };
  if (holds) return { mark: 'reproduced', number: worse.forgotten ? told : `${told} ${worse.name} does not even forget.` };
  return { mark: 'not reproduced', number: within ? `${told} Within the spread of seeds.` : told };
}

/** Rows by their labels, in claims that name them. */
const finder = (tables) => (id, labels) => {
  const name = Object.values(labels).join(' · ');
  const row = tables.find((table) => table.id === id)?.rows.find((each) => Object.entries(labels).every(([axis, value]) => each.labels[axis] === value));
  return present(row, name);
};

const methods = ['GA', 'GDIFF', 'NPO', 'RMU'];

/** Experts of a layer, the most used first, that more than half of the choices go to, as a share of its experts. */
function shareOfMost(experts) {
  const shares = experts.map(({ share }) => share).sort((a, b) => b - a);
  const total = shares.reduce((sum, share) => sum + share, 0);
  let sum = 0;
  for (const [i, share] of shares.entries()) {
    sum += share;
    if (sum > total / 2) return (i + 1) / shares.length;
  }
  return 1;
}

function longTail(attribution) {
  if (attribution === null) return { mark: 'not run', number: 'no run has chosen its expert by affinity yet' };
  const shares = attribution.layers.map(({ experts }) => shareOfMost(experts));
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const each = attribution.layers.map(({ layer, experts }, i) => `layer ${layer}: ${Math.round(shares[i] * experts.length)} of ${experts.length}`).join(', ');
  return {
    mark: mean <= 9 / 64 ? 'reproduced' : 'not reproduced',
    number: `${points(mean)} of a layer's experts on average (${each}); the paper's 9 of 64 are ${points(9 / 64)}.`,
  };
}

function shifts(one, other) {
  if (!complete(one) || !complete(other)) return notRun([one, other]);
  const [own, theirs] = [one.figures.overlapForget, other.figures.overlapForget];
  if (own === null || theirs === null) return { mark: 'not testable here', number: `${own === null ? one.name : other.name}: all seeds failed.` };
  const { difference, known, holds, within } = larger(own, theirs);
  if (!known) return untestable('One seed alone has no spread.');
  const number = `Overlap on the forget set ${shown(theirs)} against ${shown(own)} with one expert (${signed(difference)}).`;
  return { mark: holds ? 'reproduced' : 'not reproduced', number: !holds && within ? `${number} Within the spread of seeds.` : number };
}

/** Random or low-ranked experts: they forget less, or keep less where they forget as much. */
function worseOff(better, worse) {
  if (!complete(better) || !complete(worse)) return notRun([better, worse]);
  if (better.forgotten && worse.forgotten === false)
    return { mark: 'reproduced', number: `${worse.name}: FE ${shown(worse.figures.forget)} against ${shown(better.figures.forget)}: it does not forget.` };
  return keepsMore(better, worse);
}

function byRank(rows) {
  if (rows.length < 4 || !rows.every(complete)) return notRun(rows);
  const forgetting = rows.map((row, i) => ({ row, rank: i + 1 })).filter(({ row }) => row.forgotten);
  const listed = rows
    .map((row) => (row.figures.utility === null ? `${row.name} failed` : `${row.name} UT ${shown(row.figures.utility)} at FE ${shown(row.figures.forget)}`))
    .join('; ');
  if (forgetting.length < 4)
    return { mark: 'not testable here', number: `Only ${forgetting.length} of ${rows.length} experts bring FE down to ${points(forgottenAtMost)}. ${listed}.` };
  const correlation = spearman(
    forgetting.map(({ rank }) => rank),
    forgetting.map(({ row }) => row.figures.utility.mean),
  );
  if (correlation === null) return { mark: 'not testable here', number: `UT does not differ between the experts that forget. ${listed}.` };
  return {
    mark: correlation <= -0.5 ? 'reproduced' : 'not reproduced',
    number: `Spearman's ρ of rank and UT ${correlation.toFixed(2).replace('-', '−')} over the ${forgetting.length} experts that forget. ${listed}.`,
  };
}

/** Weights above the paper's best change next to nothing. */
function flatAbove(one, others) {
  const rows = [one, ...others];
  if (!rows.every(complete)) return notRun(rows);
  if (rows.some(({ figures }) => figures.utility === null)) return { mark: 'not reproduced', number: 'A weight failed with all seeds.' };
  const worst = others
    .map((row) => ({ row, difference: row.figures.utility.mean - one.figures.utility.mean }))
    .sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference))[0];
  const number = `Largest change of UT: ${signed(worst.difference)} at ${worst.row.name}; FE ${others.map((row) => shown(row.figures.forget)).join(' and ')}.`;
  return { mark: Math.abs(worst.difference) <= 0.01 && others.every(({ forgotten }) => forgotten) ? 'reproduced' : 'not reproduced', number };
}

function fewest(one, others) {
  const rows = [one, ...others];
  if (rows.some(({ figures }) => !figures?.share)) return notRun(rows);
  const share = (row) => `${row.name} ${(100 * row.figures.share.mean).toFixed(2)} %`;
  return { mark: others.every((row) => row.figures.share.mean > one.figures.share.mean) ? 'reproduced' : 'not reproduced', number: rows.map(share).join(', ') };
}

/** `where`: in the paper; `claim`: what it says; `mark` and `number`: what the demo says; `why`: how the demo differs, for those that do not come out. */
export function claimsOf({ tables, attribution }) {
  const row = finder(tables);
  const cell = (method, trained) => row('methods', { method, trained });
  const one = (method) => cell(method, 'one expert');
  const ga = one('GA');
  const alpha = (value) => ({ ...row('alpha', { alpha: value }), name: `alpha ${value}` });
  const ranks = tables.find(({ id }) => id === 'ranks')?.rows ?? [];
  const each = (where, claim, decide, why) => methods.map((method) => ({ where, claim: `${method}: ${claim}`, ...decide(method), why }));
  const shiftWhy =
    'Runs here take at most 100 steps and end at the goal, the released ones ten epochs; and the anchor itself moves routing, towards its expert.';
  const number = (name) => row('number', { experts: name });
  const moreWhy = 'The demo stops at the same forget score: more experts need fewer steps, so each moves less.';
  return [
    {
      where: 'Insight 1, Fig. 2',
      claim: 'On a narrow topic 6 to 9 of 64 experts of a layer carry most tokens',
      ...longTail(attribution),
      why: 'With 16 experts a layer, one expert is 6 %: the steps are coarse.',
    },
    ...['all parameters', 'all routers', 'all experts'].flatMap((trained) =>
      each(
        'Insights 2 and 3, Table 1, Fig. 3',
        `training ${trained} moves the routing of the forget set further than one expert with its anchor`,
        (method) => shifts(one(method), cell(method, trained)),
        shiftWhy,
      ),
    ),
    ...each(
      'Tables 3 and 4',
      'one expert keeps more utility than all parameters at equal FE',
      (method) => keepsMore(one(method), cell(method, 'all parameters')),
      'Rates are searched for both, and the retain set is of the very topics that utility asks for.',
    ),
    {
      where: 'Tables 3 and 4',
      claim: 'GA: one expert keeps more utility than LoRA on all layers at equal FE',
      ...keepsMore(ga, cell('GA', 'LoRA, rank 8')),
      why: 'Rank 8 is the paper’s, but on a model of width 96 it is a far larger part of the parameters.',
    },
    {
      where: 'Tables 3 and 4',
      claim: 'GA: one expert keeps more utility than an ESFT set at equal FE',
      ...keepsMore(ga, cell('GA', 'ESFT set, p 0.15')),
      why: 'At p 0.15 the set is one expert of each of the three layers: the demo is that specialised.',
    },
    {
      where: 'Tables 3 and 9',
      claim: 'RMU: the expert found by affinity does better than a random one',
      ...worseOff(one('RMU'), cell('RMU', 'random expert')),
      why: 'Expert, router and anchor together can jam a topic from any layer of so small a model.',
    },
    {
      where: 'Table 5',
      claim: 'GA: utility falls with the rank of the chosen expert’s affinity',
      ...byRank(ranks),
      why: 'The paper ranks the experts of 26 layers; here all are in three.',
    },
    {
      where: 'Table 6',
      claim: 'GA: the anchor (alpha 1) keeps more utility than none (alpha 0)',
      ...keepsMore(alpha('1'), alpha('0')),
      why: 'The paper’s own difference is half a point (0.5485 against 0.5435).',
    },
    {
      where: 'Table 6',
      claim: 'GA: alpha 100 and 1000 keep the utility of alpha 1 within a point, and forget',
      ...flatAbove(alpha('1'), [alpha('100'), alpha('1000')]),
      why: 'Gradients are clipped here: a heavy anchor leaves the forget loss a small part of each step.',
    },
    ...['top 6 of its layer', 'top 3 of all layers', 'top 6 of all layers'].map((name) => ({
      where: 'Tables 2 and 7',
      claim: `GA: one expert keeps more utility than the ${name}`,
      ...keepsMore(ga, number(name)),
      why: moreWhy,
    })),
    {
      where: 'Tables 2 and 7',
      claim: 'GA: six experts of one layer keep more utility than six of all layers',
      ...keepsMore(number('top 6 of its layer'), number('top 6 of all layers')),
      why: moreWhy,
    },
    {
      where: 'Table 2',
      claim: 'GA: one expert keeps more utility than it and the shared expert',
      ...keepsMore(ga, number('top 1 and the shared expert')),
      why: 'The demo’s shared expert is small, 16 wide beside 64.',
    },
    {
      where: 'Tables 3 and 9',
      claim: 'One expert trains fewer parameters than LoRA, an ESFT set and everything',
      ...fewest(
        ga,
        ['LoRA, rank 8', 'ESFT set, p 0.15', 'all parameters'].map((trained) => cell('GA', trained)),
      ),
    },
    {
      where: 'Abstract, Table 3',
      claim: 'One expert is 0.06 % of the parameters',
      ...untestable(
        `The demo has 48 routed experts, Qwen1.5-MoE 1,440: one with its router is ${ga.figures?.share ? `${(100 * ga.figures.share.mean).toFixed(2)} %` : 'not run'}.`,
      ),
    },
    {
      where: 'Abstract',
      claim: 'One expert forgets up to 5 % better',
      ...untestable('Every run ends when the stop questions reach the same FE, so that utility can be compared; how low FE could go is not asked.'),
    },
    {
      where: 'Table 8',
      claim: '100,000 tokens of the forget set are enough to find the expert',
      ...untestable(`The demo’s forget set has ${attribution === null ? 'fewer' : attribution.tokens.toLocaleString('en-US')} tokens in all.`),
    },
    {
      where: 'Tables 3 and 4',
      claim: 'It holds on WMDP, RWKU and MMLU and for models of 14 to 47 billion parameters',
      ...untestable('One model of 1.26 million parameters and questions of our own.'),
    },
  ];
}
