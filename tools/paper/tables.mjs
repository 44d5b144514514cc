// The tables of docs/paper.md. Adding one: its sweep files in docs/paper and an entry here.

/** Largest mean forget score at which a row counts as having forgotten: ten points above the stop rule, which looks at other questions. */
export const forgottenAtMost = 0.4;

/** Runs that a table's rows are repeated with; seed 0 is the one that the learning rate was searched with. */
export const seeds = [0, 1, 2];

/** The axis that is searched, where a sweep file has it; all its values are the budget of a row. */
export const rateAxis = 'optimizer.lr';

/** Audits of rows whose table says what returns. Every run forbids its experts by itself. */
export const returningAudits = ['quantise-4', 'relearn', 'relearn-full'];

/**
 * `sweeps`: files in docs/paper; `axes`: labels that name a row; `also`: a row of another table that stands here first;
 * `audit`: with which seeds, `audited`: which rows, where not all.
 */
export const tables = [
  {
    id: 'methods',
    title: 'Methods and what they train',
    paper: 'Tables 1, 3, 4 and 9',
    sweeps: ['methods-ga-whole', 'methods-ga', 'methods-whole', 'methods'],
    axes: ['method', 'trained'],
    order: {
      method: ['GA', 'GDIFF', 'NPO', 'RMU'],
      trained: ['all parameters', 'all routers', 'all experts', 'LoRA, rank 8', 'ESFT set, p 0.15', 'one expert', 'random expert'],
    },
    audit: [0],
    audited: { method: ['GDIFF', 'RMU'], trained: ['all parameters', 'one expert', 'random expert'] },
  },
  {
    id: 'topics',
    title: 'Every topic as the forget topic, default preset, nothing tuned',
    paper: null,
    sweeps: ['topics'],
    axes: ['topic'],
    shows: ['target'],
  },
  {
    id: 'gone',
    title: 'What is trained against what returns',
    paper: null,
    about: 'gone-not-hidden.md',
    sweeps: ['gone'],
    axes: ['trained'],
    audit: [0, 1, 2],
  },
  {
    id: 'ranks',
    title: 'Which expert: GA on experts by the rank of their affinity',
    paper: 'Table 5',
    sweeps: ['ranks'],
    axes: ['expert'],
    shows: ['affinity'],
    also: { table: 'methods', labels: { method: 'GA', trained: 'one expert' }, as: { expert: '#1: L2·E10' } },
  },
  {
    id: 'number',
    title: 'How many experts: GA',
    paper: 'Tables 2 and 7',
    sweeps: ['number'],
    axes: ['experts'],
    also: { table: 'methods', labels: { method: 'GA', trained: 'one expert' }, as: { experts: 'top 1' } },
  },
  {
    id: 'alpha',
    title: "The anchor's weight: GA on one expert",
    paper: 'Table 6',
    sweeps: ['alpha'],
    axes: ['alpha'],
    also: { table: 'methods', labels: { method: 'GA', trained: 'one expert' }, as: { alpha: '1' } },
    order: { alpha: ['0', '1', '100', '1000'] },
  },
];

/** What --quick runs in place of all that: the same way through, in a few minutes, with numbers that say nothing. */
export const quickTables = [{ ...tables[0], title: 'Ten steps of GDIFF', sweeps: ['quick'], audited: { trained: ['one expert'] } }];

export const isAudited = ({ audit, audited = {} }, { labels }) =>
  audit !== undefined && Object.entries(audited).every(([axis, values]) => values.includes(labels[axis]));
