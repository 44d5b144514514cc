import { expect } from 'chai';
import { nextBest } from '../../src/audit/force-next';
import { worstAudit } from '../../src/experiment/audits';
import { comparisonView } from '../../src/experiment/comparison-view';
import { roleVerdict } from '../../src/experiment/verdict';
import type { AuditResult } from '../../src/protocol/audits';
import type { AttributionRecord, EvaluationRecord, ExpertId, SetScore } from '../../src/protocol/records';
import { evaluationRecord, questionSet, runFolder, runRecord } from './run-fixture';

const twoTopics = (name: string, right: readonly [number, number]): SetScore => ({
  ...questionSet(name, 'a', right[0] + right[1], 200),
  topics: { a: { accuracy: right[0] / 100, rows: 100, blind: 0.2 }, b: { accuracy: right[1] / 100, rows: 100, blind: 0.3 } },
});

/** An audit's forget set: right of 100 before and after, as they are and under it. */
const result = ({
  asIs = [98, 28],
  under = [95, 94],
  settings = {},
}: {
  asIs?: number[];
  under?: number[];
  settings?: Record<string, unknown>;
}): AuditResult => {
  const [before, after, underBefore, underAfter] = [...asIs, ...under].map((right) => questionSet('f', 't', right, 100));
  return { settings, sets: [{ role: 'forget', before, after, underBefore, underAfter }], seconds: 1 };
};

const folder = runFolder({
  evaluation: {
    ...evaluationRecord(),
    sets: [
      ...evaluationRecord().sets.slice(0, 2),
      { role: 'utility', before: twoTopics('C:\\data\\retain.jsonl', [99, 98]), after: twoTopics('C:\\data\\retain.jsonl', [98, 97]) },
    ],
  },
});

describe('a run beside the original', () => {
  const view = comparisonView(folder, false);

  it('has a row per set, and below it one per topic where there are several', () => {
    expect(view.rows.map(({ set, role, topic }) => [set, role, topic])).to.deep.equal([
      ['eval/forget.jsonl', 'forget', false],
      ['eval/near.jsonl', 'near', false],
      ['data/retain.jsonl', 'utility', false],
      ['a', 'utility', true],
      ['b', 'utility', true],
    ]);
    expect(view.rows[0]).to.deep.include({ before: 0.98, after: 0.28, forbiddenAfter: 0.94, blind: 0.25, rows: 100 });
    expect(view.rows[0].change?.difference).to.be.closeTo(-0.7, 1e-12);
    expect(view.rows[0].change?.mcnemar).to.deep.include({ gained: 0, lost: 70 });
    expect(view.cards[0].change).to.deep.equal(view.rows[0].change);
    expect(view.rows[3].change ?? null).to.equal(null);
  });

  it('charts every topic, forget first, each with its own chance and Wilson interval', () => {
    expect(view.topics.map(({ name, role, chance }) => [name, role, chance])).to.deep.equal([
      ['hazards', 'forget', 0.25],
      ['medicine', 'near', 0.25],
      ['a', 'utility', 0.2],
      ['b', 'utility', 0.3],
    ]);
    // Wilson, 28 of 100.
    expect(view.topics[0].interval?.[0]).to.be.closeTo(0.2014, 1e-4);
    expect(view.topics[0].interval?.[1]).to.be.closeTo(0.3749, 1e-4);
  });

  it('gives each role one figure and a judgement in words', () => {
    expect(view.cards.map(({ role, before, after, verdict }) => [role, before, after, verdict.kind, verdict.text])).to.deep.equal([
      ['forget', 0.98, 0.28, 'ok', 'At chance: no better than guessing'],
      ['utility', 0.985, 0.975, 'ok', 'Keeps 99.0\u202f% of the original'],
      ['near', 0.97, 0.85, 'warn', 'Visible side effect: loses 0.120'],
    ]);
  });

  it('says what the report says and names the worst audit', () => {
    expect(view.headline).to.match(/blocks access, it does not erase/);
    expect(view.worst).to.deep.equal({ kind: 'bad', text: 'Expert forbidden: hidden, it returns through other experts' });
    expect(view.routing).to.deep.include(['Target share on forget prompts', 0.66, 0.97]);
    expect(view.roundingLoss).to.equal(0.0012);
  });

  it('explains the metrics whose figures it holds, and no others', () => {
    expect(view.metrics.map(({ id }) => id)).to.deep.equal(['accuracy', 'routingOverlap', 'targetShare']);
    const folder = runFolder();
    const text: SetScore = { name: 'f', kind: 'probability', score: { value: 0.4, n: 10 }, nll: 1, extraction: { value: 0.3, n: 10 }, blind: null };
    const ofText = comparisonView({ ...folder, evaluation: { sets: [{ role: 'forget', before: text, after: text }] } }, false);
    expect(ofText.metrics.map(({ id }) => id)).to.deep.equal(['probability', 'nll', 'extractionStrength']);
  });

  it('claims nothing without an evaluation', () => {
    const bare = comparisonView(runFolder({ evaluation: null }), false);
    expect([bare.rows, bare.cards, bare.topics, bare.metrics]).to.deep.equal([[], [], [], []]);
    expect(bare.headline).to.match(/not measured/);
    expect(bare.worst).to.equal(null);
  });
});

describe('the words of a score', () => {
  const forget = (before: number, after: number) => roleVerdict('forget', [questionSet('f', 't', before, 100)], [questionSet('f', 't', after, 100)]);
  it('places the forget score between the original and chance', () => {
    expect(forget(98, 61).text).to.match(/^51\u202f% of the way to chance/);
    expect(forget(98, 98)).to.deep.equal({ kind: 'bad', text: 'Not forgotten' });
    expect(forget(98, 2).text).to.match(/Below chance/);
    expect(forget(24, 33).text).to.match(/at chance already/);
  });

  it('has no chance level to name where rows are text', () => {
    const text: SetScore = { name: 'f', kind: 'probability', score: { value: 0.4, n: 10 }, nll: 1, blind: null };
    expect(roleVerdict('forget', [text], [text]).kind).to.equal('none');
  });
});

describe('the expert forbidden', () => {
  const audit = (after: number, forbiddenBefore: number, forbiddenAfter: number) => {
    const sets: EvaluationRecord['sets'] = [
      {
        role: 'forget',
        before: questionSet('f', 't', 98, 100),
        after: questionSet('f', 't', after, 100),
        forbiddenBefore: questionSet('f', 't', forbiddenBefore, 100),
        forbiddenAfter: questionSet('f', 't', forbiddenAfter, 100),
      },
    ];
    return comparisonView(runFolder({ evaluation: { sets } }), false).audits[0];
  };

  it('is judged against the original under the same intervention', () => {
    expect(audit(28, 95, 94).outcome?.verdict).to.deep.equal({ kind: 'bad', text: 'Hidden: it returns through other experts' });
    expect(audit(28, 95, 60).outcome?.verdict.kind).to.equal('warn');
    expect(audit(28, 95, 28).outcome?.verdict).to.deep.equal({ kind: 'ok', text: 'Not brought back' });
    expect(audit(28, 95, 60).outcome?.text).to.include('−0.350');
  });

  it('reads audits.json before evaluation.json, and is not measured where neither holds it', () => {
    const plain = runFolder();
    const stored = runFolder({
      audits: {
        run: 'r',
        audits: { forbid: result({ under: [95, 28] }) },
      },
    });
    expect(comparisonView(plain, false).audits[0].outcome).to.deep.include({ source: 'evaluation.json', after: 0.94 });
    expect(comparisonView(stored, false).audits[0].outcome).to.deep.include({ source: 'audits.json', after: 0.28 });
    const none = comparisonView(runFolder({ evaluation: { sets: evaluationRecord().sets.slice(1) } }), false).audits[0];
    expect(none.outcome).to.equal(null);
    expect(none.refusal).to.match(/no forget set/);
    expect(worstAudit([none])).to.equal(null);
  });

  it('takes twice the passes of the run’s own evaluation, less what that did already', () => {
    // 3.5 s for 2 × 300 rows and 2 × 100 with the expert forbidden; the audit measures 4 × 300.
    expect(comparisonView(runFolder(), false).audits[0].seconds).to.be.closeTo((3.5 * 1200) / 800, 1e-12);
  });
});

describe('audits in words', () => {
  const viewsOf = (audits: Readonly<Record<string, AuditResult>>) => comparisonView(runFolder({ audits: { run: 'r', audits } }), false);
  const view = (id: string, own: AuditResult) => {
    const found = viewsOf({ [id]: own }).audits.find((audit) => audit.id === id);
    if (!found?.outcome) throw new Error(`no outcome of ${id}`);
    return found.outcome;
  };

  it('measure what is back by the gap to the original under the same intervention', () => {
    expect(view('relearn', result({ under: [98, 40] })).verdict).to.deep.equal({ kind: 'ok', text: 'Holds: relearning does not bring it back' });
    expect(view('relearn', result({ under: [98, 65] })).verdict.kind).to.equal('warn');
    expect(view('relearn', result({ under: [98, 75] })).verdict).to.deep.equal({ kind: 'bad', text: 'Returns: it was still there' });
    // Rounding takes from both: 60 of 98 against 59 is no difference that can be shown.
    const both = view('quantise-4', result({ under: [60, 59] }));
    expect(both.verdict).to.deep.equal({ kind: 'bad', text: 'Comes back at 4 bit' });
    expect(both.text).to.include('The two cannot be told apart.');
    const taught = (edited: number) => ({ taught: { before: { original: 0.98, edited: 0.28 }, after: { original: 0.99, edited } } });
    expect(view('relearn', result({ under: [98, 40], settings: taught(0.5) })).text).to.match(
      /17\u202f% of what the edit took is back\. On the half that was taught, the edited model now scores 0\.500/,
    );
  });

  it('do not call it held what relearning could not even teach', () => {
    const taught = (edited: number) => ({ taught: { before: { original: 0.98, edited: 0.28 }, after: { original: 0.99, edited } } });
    expect(view('relearn', result({ under: [98, 30], settings: taught(0.9) })).verdict.kind).to.equal('ok');
    const idle = view('relearn', result({ under: [98, 30], settings: taught(0.31) }));
    expect(idle.verdict).to.deep.equal({ kind: 'none', text: 'Says nothing: too few steps to teach even their own half' });
    expect(view('relearn', result({ under: [98, 90], settings: taught(0.31) })).verdict.kind).to.equal('bad');
  });

  it('say nothing where nothing was forgotten, or where the original knows nothing under it either', () => {
    expect(view('quantise-8', result({ asIs: [98, 97] })).verdict.kind).to.equal('none');
    expect(view('quantise-4', result({ under: [27, 26] })).verdict).to.deep.equal({
      kind: 'none',
      text: 'Says nothing: the original does not know it either then',
    });
  });

  it('compare shares of an answer as they are, not as probabilities', () => {
    const share = (values: readonly number[]): SetScore => {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const perExample = values.map((value, i) => ({ id: `${i}`, value }));
      return { name: 'f', kind: 'extraction', score: { value: mean, n: values.length, perExample }, nll: 1, blind: null };
    };
    const rows = (value: number) => share(Array.from({ length: 40 }, (_, i) => (i % 2 ? value : 0)));
    const own = view('extraction', {
      settings: {},
      sets: [{ role: 'forget', before: rows(1), after: rows(0), underBefore: rows(1), underAfter: rows(0.4) }],
      seconds: 1,
    });
    expect(own.text).to.include('scores 0.200 and the original 0.500: difference −0.300');
    expect(own.verdict.kind).to.equal('warn');
  });

  it('ask of a near topic whether it was spared', () => {
    const nearBy = (before: number, after: number): AuditResult => ({
      ...result({ asIs: [before, after], under: [before, after] }),
      sets: result({ asIs: [before, after], under: [before, after] }).sets.map((set) => ({ ...set, role: 'near' })),
    });
    expect(view('near', nearBy(97, 96)).verdict).to.deep.equal({ kind: 'ok', text: 'Spared: no loss can be shown' });
    expect(view('near', nearBy(97, 82)).verdict).to.deep.equal({ kind: 'warn', text: 'Visible side effect: loses 0.150' });
  });

  it('are refused with a reason where they cannot be run', () => {
    const recipe = { ...runFolder().recipe, evaluate: { forget: 'f' } };
    const refusals = (rest: Parameters<typeof runFolder>[0]) =>
      Object.fromEntries(comparisonView(runFolder({ recipe, ...rest }), false).audits.map(({ id, refusal }) => [id, refusal]));
    expect(refusals({})).to.include({ forbid: null, relearn: null, 'relearn-full': null });
    expect(refusals({}).near).to.equal('The recipe names no near set under "evaluate", so there is nothing to measure.');
    // 14.3 billion parameters, eight f32 copies of each.
    const large = runRecord({ summary: { ...runRecord().summary, trainedParameters: 8.58e6, trainedShare: 0.0006 } });
    expect(refusals({ record: large })['relearn-full']).to.match(/^All parameters do not fit: training them takes about 458\u202fGB, .* 8\.0\u202fGB\.$/);
    expect(refusals({ record: large }).relearn).to.equal(null);
    expect(refusals({ record: runRecord({ target: { ...runRecord().target, train: 'full' } }) })['relearn-full']).to.match(/the same audit/);
    const experts = [0, 1, 2].map((expert) => ({ expert, affinity: 0.3, share: 0.3 }));
    const attribution = { ...runFolder().attribution, layers: [{ layer: 2, experts }], topK: 3 } as AttributionRecord;
    expect(refusals({ attribution }).forbid).to.equal('Layer 2 has 3 experts and uses 3 for each token, so 1 of them cannot be forbidden.');
  });

  it('force the next-best experts of the target’s own layer, as many as are forbidden there', () => {
    const experts = [0.1, 0.3, 0.2, 0.25].map((affinity, expert) => ({ expert, affinity, share: 0.2 }));
    const layers = [1, 2].map((layer) => ({ layer, experts }));
    const run = (targets: readonly ExpertId[]) =>
      runFolder({
        record: runRecord({ target: { experts: targets, train: 'expert+router' } }),
        attribution: { ...runFolder().attribution, layers, topK: 2 } as AttributionRecord,
      });
    expect(nextBest(run([{ layer: 2, expert: 1 }]))).to.deep.equal([{ layer: 2, expert: 3 }]);
    expect(
      nextBest(
        run([
          { layer: 2, expert: 1 },
          { layer: 1, expert: 3 },
          { layer: 2, expert: 2 },
        ]),
      ),
    ).to.deep.equal([
      { layer: 1, expert: 1 },
      { layer: 2, expert: 3 },
      { layer: 2, expert: 0 },
    ]);
    expect(nextBest(runFolder({ attribution: null }))).to.equal(null);
  });

  it('know which are left to run, how long they take, and which needs a file', () => {
    const before = viewsOf({});
    expect(before.audits.map(({ id }) => id)).to.deep.equal([
      'forbid',
      'force-next',
      'relearn',
      'relearn-full',
      'quantise-8',
      'quantise-4',
      'extraction',
      'paraphrase',
      'near',
    ]);
    const run = runFolder({ recipe: { ...runFolder().recipe, evaluate: { forget: 'f', near: 'n' } } });
    const all = comparisonView(run, false);
    expect(all.audits.filter(({ wantsFile }) => wantsFile).map(({ id }) => id)).to.deep.equal(['paraphrase']);
    expect(all.auditsToRun).to.deep.include({ count: 7, again: false });
    const some = comparisonView({ ...run, audits: { run: 'r', audits: { 'quantise-8': result({}), relearn: result({}) } } }, false);
    expect(some.auditsToRun.count).to.equal(5);
    expect(some.auditsToRun.seconds).to.be.below(all.auditsToRun.seconds ?? 0);
  });
});

describe('a run beside another run', () => {
  const other = runFolder({
    record: runRecord({ id: 'other', number: 4 }),
    evaluation: { sets: evaluationRecord().sets.map((set) => ({ ...set, after: set.before })) },
  });

  it('compares what both measured on the same rows, and does not speak of the original', () => {
    const view = comparisonView(runFolder(), false, other);
    expect(view.pair).to.equal(`other|${view.run}`);
    expect(view.before).to.deep.equal({ run: 'other', label: 'Run 4 · NPO · α 1' });
    expect(view.headline).to.equal('Run 1 forgets more than run 4.');
    expect(view.rows[0]).to.deep.include({ before: 0.98, after: 0.28 });
    expect(view.cards.find(({ role }) => role === 'utility')?.verdict.text).to.equal('Keeps 100.0\u202f% of run 4');
    expect(view.routing).to.deep.equal([]);
  });

  it('says so where runs cannot be told apart, or share no set', () => {
    expect(comparisonView(runFolder(), false, runFolder({ record: runRecord({ number: 4 }) })).headline).to.match(/cannot be told apart/);
    const elsewhere = runFolder({ evaluation: { sets: [] } });
    expect(comparisonView(runFolder(), false, elsewhere).headline).to.match(/no forget set in common/);
  });
});
