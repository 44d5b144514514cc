import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import type { AuditAnswer, AuditRecord } from '../../src/protocol/audits';
import type { ExportResult, RunFolder, ScoreResult } from '../../src/protocol/engine';
import type { RunRecord } from '../../src/protocol/records';
import type { ReportPage } from '../../src/protocol/report-page';
import { snapshot } from '../checkpoint/small-checkpoint';
import { temporaryFolder } from '../files/temporary-folder';
import { buildIfStale, type Outcome, uoe, uoeJson } from './command';

interface Workplace {
  readonly home: string;
  readonly model: string;
  readonly recipe: string;
  readonly score: (folder: string, ...more: string[]) => Promise<ScoreResult>;
}

const demo = path.resolve('demo');

/** The demo model with a few rows of its data, where one step takes a moment. */
function workplace(): Workplace {
  const home = temporaryFolder();
  const model = path.join(home, 'model');
  fs.cpSync(path.join(demo, 'checkpoint'), model, { recursive: true });
  const some = (from: string, count: number, to: string) =>
    fs.writeFileSync(
      path.join(home, to),
      fs
        .readFileSync(path.join(demo, 'data', from), 'utf8')
        .split('\n')
        .slice(0, count)
        .join('\n'),
    );
  some('forget.jsonl', 8, 'forget.jsonl');
  some('retain.jsonl', 8, 'retain.jsonl');
  some('eval/forget.jsonl', 6, 'questions.jsonl');
  some('eval/retain.jsonl', 6, 'utility.jsonl');
  const recipe = path.join(home, 'recipe.uoe.json');
  fs.writeFileSync(
    recipe,
    JSON.stringify({
      model: 'model',
      forget: 'forget.jsonl',
      retain: 'retain.jsonl',
      method: 'gdiff',
      optimizer: { lr: 0.01 },
      steps: 3,
      batchSize: 4,
      addDocumentStart: true,
      evaluate: { forget: 'questions.jsonl', utility: ['utility.jsonl'] },
      scoring: { normalise: 'tokens' },
    }),
  );
  const reading = ['--data', path.join(home, 'questions.jsonl'), '--document-start', 'yes', '--normalise', 'tokens'];
  return { home, model, recipe, score: (folder, ...more) => uoeJson<ScoreResult>(['score', folder, ...reading, ...more]) };
}

const done = ({ code, stderr, stdout }: Outcome): string => {
  expect(code, stderr).to.equal(0);
  return stdout;
};

describe('uoe: a run and what can be done with it', () => {
  before(buildIfStale);

  it('unlearn, runs, compare, report, audit', async function () {
    this.timeout(120_000);
    const { home, recipe } = workplace();
    // Relative paths are resolved against the recipe's folder, the workspace is the current folder.
    const made = await uoeJson<Record<string, unknown>>(['unlearn', path.basename(recipe)], { cwd: home });
    expect(made).to.include({ status: 'done', steps: 3, folder: path.join('.uoe', 'runs', made.run as string) });
    expect(made.target).to.have.all.keys('layer', 'expert');
    expect(made.summary).to.include.keys('forget', 'utility');
    expect(fs.existsSync(path.join(home, made.folder as string, 'patch.safetensors'))).to.equal(true);

    const { runs } = await uoeJson<{ runs: RunRecord[] }>(['runs'], { cwd: home });
    expect(runs.map(({ id, number }) => [id, number])).to.deep.equal([[made.run, 1]]);
    expect(done(await uoe(['runs', '--workspace', home]))).to.include(made.run as string);

    const csv = done(await uoe(['compare', '1', made.run as string, '--format', 'csv'], { cwd: home }));
    expect(csv.trim().split('\n')).to.have.length(3);
    expect(done(await uoe(['compare', '#1'], { cwd: home }))).to.match(/GDIFF/);

    expect(done(await uoe(['report', '1', '--workspace', home]))).to.match(/^# /);
    done(await uoe(['report', '1', '--html', '--to', path.join(home, 'report.html'), '--workspace', home]));
    const page = fs.readFileSync(path.join(home, 'report.html'), 'utf8');
    expect(page).to.match(/^<!doctype html>/i);
    const data = JSON.parse(page.split('id="report-data">')[1].split('</script>')[0]) as ReportPage;
    expect(data.comparison.number).to.equal(1);
    expect(data.left, 'routing and answers are measured').to.equal(null);
    expect(data.routing?.shareAfter.length).to.equal((data.routing?.layers.length ?? 0) * (data.routing?.experts ?? 0));

    const audit = await uoeJson<AuditAnswer>(['audit', '1', '--steps', '2'], { cwd: home });
    expect(audit.left.map(({ audit: id }) => id)).to.deep.equal(['paraphrase', 'near']);
    expect(Object.keys(audit.audits)).to.deep.equal(['forbid', 'force-next', 'relearn', 'relearn-full', 'quantise-8', 'quantise-4', 'extraction']);
    const { forbid, relearn } = audit.audits;
    expect(forbid.settings).to.deep.equal({ experts: [made.target] });
    expect(forbid.sets.map(({ role }) => role)).to.deep.equal(['forget', 'utility']);
    expect(relearn.settings).to.deep.include({ steps: 2, lr: 0.01, by: 'fact', groups: 6 });
    expect(relearn.sets[0].before.score.n).to.equal(3);
    const { evaluation } = {
      evaluation: JSON.parse(fs.readFileSync(path.join(home, made.folder as string, 'evaluation.json'), 'utf8')) as NonNullable<RunFolder['evaluation']>,
    };
    const [own] = evaluation.sets;
    const { before, after, underBefore, underAfter } = forbid.sets[0];
    for (const [moment, score] of Object.entries({ before, after, forbiddenBefore: underBefore, forbiddenAfter: underAfter })) {
      expect(score.nll, moment).to.be.closeTo(own[moment as 'after']?.nll as number, 1e-6);
    }
    const stored = () => JSON.parse(fs.readFileSync(path.join(home, made.folder as string, 'audits.json'), 'utf8')) as AuditRecord;
    expect(stored().audits).to.deep.equal(audit.audits);

    // What is measured stays; other settings, or --again, measure anew; what is named has to be possible.
    const words = ['--paraphrases', 'questions.jsonl'];
    const more = await uoeJson<AuditAnswer>(['audit', '1', '--steps', '1', ...words], { cwd: home });
    expect(more.left.map(({ audit: id }) => id)).to.deep.equal(['near']);
    expect(more.audits.forbid).to.deep.equal(forbid);
    expect(more.audits.relearn.settings).to.include({ steps: 1 });
    expect(more.audits.paraphrase.sets[0].underAfter.nll).to.be.closeTo(after.nll, 1e-6);
    const table = done(await uoe(['audit', '1', '--only', 'forbid', '--again'], { cwd: home }));
    expect(table).to.match(/Expert forbidden .*\d\.\d{3}/);
    expect(stored().audits.forbid.seconds).to.not.equal(forbid.seconds);
    const impossible = await uoe(['audit', '1', '--only', 'near'], { cwd: home });
    expect([impossible.code, impossible.stderr]).to.deep.equal([1, 'The recipe names no near set under "evaluate", so there is nothing to measure.\n']);
    expect((await uoe(['audit', '1', '--only', 'forbidden'], { cwd: home })).code).to.equal(2);
  });

  it('score --run equals the exported and the applied checkpoint; restore brings the very bytes back', async function () {
    this.timeout(120_000);
    const { home, model, recipe, score } = workplace();
    const original = snapshot(model);
    const made = await uoeJson<{ folder: string }>(['unlearn', recipe, '--workspace', home, '--method', 'ga', '--steps', '2']);
    const [before, after] = [await score(model), await score(model, '--run', '1', '--workspace', home)];
    expect(after.rows).not.to.deep.equal(before.rows);

    const to = path.join(home, 'edited');
    const exported = await uoeJson<ExportResult>(['export', '1', '--to', to, '--link', '--workspace', home]);
    expect(exported.proof.equal).to.equal(exported.proof.checked);
    expect(exported.changed).not.to.be.empty;
    expect((await score(to)).rows).to.deep.equal(after.rows);

    const patch = path.join(home, 'change.safetensors');
    await uoeJson(['export', '1', '--patch', patch, '--workspace', home]);
    expect((await score(model, '--patch', patch)).rows).to.deep.equal(after.rows);
    expect(snapshot(model), 'the opened checkpoint').to.deep.equal(original);

    await uoeJson(['apply', path.resolve(made.folder)]);
    expect((await score(model)).rows).to.deep.equal(after.rows);
    await uoeJson(['restore', model]);
    expect(snapshot(model)).to.deep.equal(original);
    const again = await uoe(['restore', model]);
    expect([again.code, again.stdout]).to.deep.equal([1, '']);
    expect(again.stderr).to.match(/No patch is applied/);
  });
});
