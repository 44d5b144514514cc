import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { auditViews } from '../../src/experiment/audits';
import { compare } from '../../src/experiment/comparison';
import { reportMarkdown } from '../../src/experiment/report';
import { filledPage, reportPage } from '../../src/experiment/report-page';
import { thinned } from '../../src/experiment/thinned';
import { verdictOf } from '../../src/experiment/verdict';
import type { RoutingFigures } from '../../src/protocol/comparison-view';
import { unwrap } from '../../src/protocol/fault';
import { plainText } from '../../src/protocol/plain-text';
import type { EvaluationRecord } from '../../src/protocol/records';
import type { ReportPage } from '../../src/protocol/report-page';
import { evaluationRecord, questionSet, runFolder, runRecord } from './run-fixture';

const forgetOnly = (after: number, forbiddenAfter?: number): EvaluationRecord => ({
  sets: [
    {
      role: 'forget',
      before: questionSet('f', 'hazards', 98, 100),
      after: questionSet('f', 'hazards', after, 100),
      ...(forbiddenAfter === undefined
        ? {}
        : { forbiddenBefore: questionSet('f', 'hazards', 95, 100), forbiddenAfter: questionSet('f', 'hazards', forbiddenAfter, 100) }),
    },
  ],
});

describe('verdict', () => {
  it('an edit whose knowledge comes back when the expert is forbidden blocks, it does not erase', () => {
    const { kind, headline, sentences, forgetting, returning } = verdictOf(evaluationRecord());
    expect(kind).to.equal('blocked');
    expect(headline).to.include('blocks access, it does not erase');
    expect(forgetting?.difference).to.be.closeTo(-0.7, 1e-12);
    expect(returning?.difference).to.be.closeTo(0.66, 1e-12);
    expect(returning?.interval?.[0]).to.be.above(0.5);
    expect(sentences.join(' ')).to.include('the two cannot be told apart').and.to.include('Utility went from 0.990 to 0.990');
  });

  it('does not claim erasure when the score stays down: it says that this is one check', () => {
    const { kind, sentences } = verdictOf(forgetOnly(28, 29));
    expect(kind).to.equal('not brought back');
    expect(sentences.join(' ')).to.include('one check');
  });

  it('takes what further audits found into its headline', () => {
    const evaluation = forgetOnly(28, 29);
    const further = (ofHundred: number, id = 'relearn-full') => {
      const { before, after } = evaluation.sets[0];
      const sets = [{ role: 'forget' as const, before, after, underBefore: before, underAfter: questionSet('eval/forget.jsonl', 'hazards', ofHundred, 100) }];
      return auditViews(runFolder({ evaluation, audits: { run: 'r', audits: { [id]: { settings: {}, sets, seconds: 1 } } } }));
    };
    const { kind, headline, sentences } = verdictOf(evaluation, further(90));
    expect([kind, headline]).to.deep.equal(['brought back', 'The forget score fell, but an audit brings it back.']);
    expect(sentences).to.include('The worst of them: Relearning, all parameters (Returns: it was still there).');
    expect(verdictOf(forgetOnly(28), further(90)).kind).to.equal('brought back');
    const held = verdictOf(evaluation, further(29));
    expect(held.kind).to.equal('not brought back');
    expect(held.sentences).to.include('One further audit does not bring it back either.');
    // The near topic is not what was to be forgotten.
    expect(verdictOf(evaluation, further(90, 'near')).sentences.join(' ')).to.include('one check');
  });

  it('says what was not measured', () => {
    expect(verdictOf(null).kind).to.equal('not measured');
    expect(verdictOf({ sets: [] }).headline).to.include('no forget set');
    expect(verdictOf(forgetOnly(28)).kind).to.equal('forgotten, hidden or erased unknown');
    const bare = { ...questionSet('f', 't', 3, 10), score: { value: 0.3, n: 10 } };
    expect(verdictOf({ sets: [{ role: 'forget', before: bare, after: bare }] }).headline).to.include('no values per example');
  });

  it('a fall within chance is no forgetting', () => {
    expect(verdictOf(forgetOnly(98, 95)).kind).to.equal('not forgotten');
    expect(verdictOf(forgetOnly(97, 95)).kind).to.equal('not forgotten');
    expect(verdictOf(forgetOnly(100, 95)).kind).to.equal('not forgotten');
  });

  it('sets the fall against the subject-blind baseline', () => {
    expect(verdictOf(forgetOnly(27)).sentences.join(' ')).to.include('cannot be told apart from answering without knowing the subject');
    expect(verdictOf(forgetOnly(61)).sentences.join(' ')).to.match(/51\u202f% of the way/);
    expect(verdictOf(forgetOnly(2)).sentences.join(' ')).to.include('avoids the right answer');
  });
});

describe('report as Markdown', () => {
  const markdown = reportMarkdown(runFolder(), '/runs/2026 run');
  it('holds verdict, scores with intervals and baseline, the forbidden row, the edit, the ranking, the stop and the way to repeat it', () => {
    for (const part of [
      '# Run 1: NPO on L2·E10',
      '**The edit blocks access, it does not erase',
      '| Forget: eval/forget.jsonl | 0.980 (0.93–1.00) | 0.280 (0.23–0.33) | −0.700 | 0.250 | 100 |',
      '| Forget: eval/forget.jsonl, target expert forbidden | 0.950',
      'Utility: eval/retain.jsonl',
      '- Forget: At chance: no better than guessing.',
      '- Utility: Keeps 100.0\u202f% of the original.',
      '## Audits\n\n- Expert forbidden: Hidden: it returns through other experts.',
      '| Trained parameters | 19\u202f968 (1.58\u202f% of the model) |',
      '| Target share on forget tokens | 0.660 → 0.970 |',
      '| 1 | L2·E10 (target) | 0.393 | 33.0\u202f% |',
      'Stopped at step 40 of 100',
      '| optimizer.lr | 0.003 |',
      '| training | 12\u202fs |',
      "uoe unlearn '/runs/2026 run/recipe.json'",
    ]) {
      expect(markdown).to.include(part);
    }
  });

  it('shows each topic of a set that has several', () => {
    const both = (right: number) => ({
      ...questionSet('eval', 'a', right, 100),
      topics: { a: { accuracy: right / 100, rows: 100, blind: 0.2 }, b: { accuracy: 0.5, rows: 10, blind: 0.3 } },
    });
    const shown = reportMarkdown(runFolder({ evaluation: { sets: [{ role: 'utility', before: both(90), after: both(80) }] } }), '/r');
    expect(shown).to.include('| – b | 0.500 (0.24–0.76) | 0.500 (0.24–0.76) | 0.000 | 0.300 | 10 |');
  });

  it('a run that failed at once still has a report', () => {
    const record = runRecord({
      status: 'failed',
      reason: 'A loss became NaN at step 1.',
      steps: 0,
      keptStep: 0,
      summary: undefined,
      seconds: {},
      endedAt: undefined,
    });
    const shown = reportMarkdown(runFolder({ record, steps: [], checks: [], attribution: null, evaluation: null }), '/r');
    expect(shown).to.include('A loss became NaN').and.to.include('No step was recorded').and.to.include('was not measured');
    expect(shown).to.not.match(/undefined|NaN(?! at)|\[object/);
  });
});

describe('report as a page', () => {
  const template = '<title>%REPORT-TITLE%</title><script type="application/json">%REPORT-DATA%</script><script>1</script>';
  const left = { routing: null, answers: null, left: 'The checkpoint is not there.' };
  const filled = (run = runFolder()): string => unwrap(filledPage(template, reportPage(run, '/runs/a', left)));
  const dataOf = (page: string): unknown => JSON.parse(page.split('<script type="application/json">')[1].split('</script>')[0]);

  it('holds step 4 as the workbench shows it, and every table and curve of the Markdown form', () => {
    const page = reportPage(runFolder(), '/runs/a', left);
    expect(page.title).to.equal('Run 1: NPO on L2·E10');
    expect(page.comparison.headline).to.equal(verdictOf(evaluationRecord()).headline);
    expect(page.comparison.audits[0].outcome?.verdict.kind).to.equal('bad');
    const headings = page.blocks.flatMap((block) => (block.kind === 'heading' ? [block.text] : []));
    expect(headings).to.deep.equal(['What was edited', 'Why this expert', 'Course', 'Settings', 'Time', 'Repeat it']);
    const markdown = reportMarkdown(runFolder(), '/runs/a');
    for (const heading of headings) expect(markdown).to.include(`## ${heading}`);
    expect(page.blocks.flatMap((block) => (block.kind === 'figures' ? block.figures.map(({ title }) => title) : []))).to.include('Routing');
  });

  it('shows all runs of the checkpoint where there are others, and no such part for a run alone', () => {
    const [own, second] = [runFolder(), runFolder({ record: runRecord({ id: 'other', number: 2 }) })];
    expect(reportPage(own, '/runs/a', left, compare([own])).comparison.table).to.equal(null);
    const { table } = reportPage(own, '/runs/a', left, compare([own, second])).comparison;
    expect(table?.rows.map(({ id }) => id)).to.deep.equal([own.record.id, 'other']);
  });

  it('lists arrays, so that the file holds every value', () => {
    const routing = {
      pair: '|r',
      shareBefore: Float32Array.of(0.5),
      shareAfter: Float32Array.of(0.25),
      slotsBefore: Float32Array.of(2),
      slotsAfter: Float32Array.of(1),
      rankInLayer: Float32Array.of(1),
    };
    const page = reportPage(runFolder(), '/r', { ...left, routing: routing as unknown as RoutingFigures });
    expect(page.routing?.shareAfter).to.deep.equal([0.25]);
  });

  it('text of a run can end no element and add none', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.constant('</script><script>alert(1)</script>'),
          fc.constant('<!--<script>'),
          fc.constant('$&$`%REPORT-DATA%'),
          fc.constant('\u202egnp.exe \u001b[31m \u2066'),
          fc.string({ unit: 'binary', maxLength: 30 }),
        ),
        (text) => {
          const page = filled(runFolder({ record: runRecord({ reason: text, method: text }), evaluation: null }));
          expect(page.match(/<[a-z!/]/gi)).to.deep.equal(['<t', '</', '<s', '</', '<s', '</']);
          expect((dataOf(page) as ReportPage).comparison.method).to.equal(plainText(text));
          expect(page).to.not.match(/[^\P{Cc}\n\t]|\p{Bidi_Control}/u);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('a page without its two places is refused', () => {
    for (const wrong of ['', '%REPORT-TITLE%', '%REPORT-DATA%', '%REPORT-TITLE%%REPORT-TITLE%%REPORT-DATA%']) {
      const result = filledPage(wrong, reportPage(runFolder(), '/r', left));
      expect(result.ok, wrong).to.equal(false);
    }
  });

  it('as it is built, asks nothing of a network and runs no script but its own', () => {
    const built = fs.readFileSync(path.join(__dirname, 'report.html'), 'utf8');
    const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(built)?.[1] ?? '';
    expect(policy).to.match(
      /^default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-[\w+/=]+' 'sha256-47DEQpj8HBSa\+\/TImW\+5JCeuQeRkm5NMpJWZG3hSuFU='; font-src data:; img-src data:; script-src 'sha256-[\w+/=]+'$/,
    );
    const style = built.slice(built.indexOf('<style>') + 7, built.indexOf('</style>'));
    expect(policy).to.include(crypto.createHash('sha256').update(style).digest('base64'));
    const script = built.slice(built.lastIndexOf('<script>') + 8, built.lastIndexOf('</script>'));
    expect(policy).to.include(crypto.createHash('sha256').update(script).digest('base64'));
    const outside = built.replace(script, '');
    expect(outside).to.not.match(/<link|<img|<iframe|@import|url\((?!data:|#)|\ssrc=|\shref=/i);
    expect(filledPage(built, reportPage(runFolder(), '/r', left)).ok).to.equal(true);
  });
});

describe('a long curve', () => {
  it('is thinned to the extremes of its stretches: no peak is lost, gaps stay', () => {
    const points = Array.from({ length: 20_000 }, (_, i) => [i + 1, i === 12_345 ? 100 : i === 50 ? null : 0] as const);
    const thin = thinned(points);
    expect(thin.length).to.be.below(1000);
    expect(thin).to.deep.include([12_346, 100]);
    expect(thin.some(([, value]) => value === null)).to.equal(true);
    expect(thinned(points.slice(0, 800))).to.have.length(800);
  });
});
