import path from 'node:path';
import { type Audit, type AuditOptions, type AuditSet, usualOptions } from '../../audit/audit';
import { audits } from '../../audit/audits';
import { openBench } from '../../audit/bench';
import { usualBatch } from '../../audit/relearn';
import { openActivations } from '../../experiment/activations';
import { auditViews, worstAudit } from '../../experiment/audits';
import { readRunFolder, resolveRun } from '../../experiment/history';
import { type OpenedRecipe, openRecipe } from '../../experiment/open-recipe';
import { diskReader } from '../../experiment/run-reader';
import { writeJson } from '../../files/atomic-write';
import { waitForLock } from '../../files/lock';
import type { AuditRecord } from '../../protocol/audits';
import type { DataSource, Reading, RunFolder, Scoring } from '../../protocol/engine';
import { faultOf, refuse, sentence, unwrap } from '../../protocol/fault';
import type { ResolvedRecipe } from '../../protocol/recipe';
import type { Handler } from '../call';
import type { OpenedModel } from '../opened-models';
import { readSet } from '../reading';
import { overlayFor } from '../variant';

/** Passes over a row that an update stands for: forward, and about twice that for its gradient. */
const stepPasses = 3;

const fromFile = (file: string): DataSource => ({ kind: 'file', path: file });

const readingOf = (recipe: ResolvedRecipe): Reading & Scoring => ({
  maxLength: recipe.maxLength,
  documentStart: recipe.addDocumentStart === null ? 'auto' : recipe.addDocumentStart ? 'yes' : 'no',
  chat: recipe.chat,
  options: recipe.scoring.options,
});

function setsOf({ evaluate }: OpenedRecipe): AuditSet[] {
  return [
    ...(evaluate?.forget ? [{ role: 'forget' as const, ...evaluate.forget }] : []),
    ...(evaluate?.near ? [{ role: 'near' as const, ...evaluate.near }] : []),
    ...(evaluate?.utility ?? []).map((set) => ({ role: 'utility' as const, ...set })),
  ];
}

/** What is to be measured, and what can't be. One that is named must be possible; of all, those that are not are left with their reason. */
function chosen(run: RunFolder, names: readonly string[] | undefined, options: AuditOptions): { list: Audit[]; left: { audit: string; why: string }[] } {
  const known = audits.map(({ descriptor }) => descriptor.id);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) refuse('usage', `There is no audit "${unknown}".`, `Known audits: ${known.join(', ')}.`);
  const asked = audits.filter(({ descriptor }) => names === undefined || names.includes(descriptor.id));
  const left = asked.flatMap((audit) => {
    const why = audit.refusal(run, options);
    return why === null ? [] : [{ audit: audit.descriptor.id, why }];
  });
  if (left.length > 0 && (names !== undefined || left.length === asked.length)) refuse('bad-data', left[0].why);
  return { list: asked.filter(({ descriptor }) => !left.some(({ audit }) => audit === descriptor.id)), left };
}

/** Measured already, and with the same settings as far as they are asked for. */
function isKept(audit: Audit, run: RunFolder, options: AuditOptions): boolean {
  const stored = run.audits?.audits[audit.descriptor.id];
  if (!stored) return false;
  return Object.entries(audit.settings(run, options)).every(([name, value]) => JSON.stringify(stored.settings[name]) === JSON.stringify(value));
}

/** Writes a result beside those that are there by now: another process may be measuring another audit of this run. */
async function keepAudit(folder: string, id: string, result: AuditRecord['audits'][string]): Promise<AuditRecord['audits']> {
  const lock = unwrap(await waitForLock(path.join(folder, '.lock'), `Run ${path.basename(folder)}`));
  try {
    const { record, audits: stored } = unwrap(await readRunFolder(diskReader, folder));
    const audits = { ...stored?.audits, [id]: result };
    unwrap(await writeJson(path.join(folder, 'audits.json'), { run: record.id, audits }, lock.check));
    return audits;
  } finally {
    await lock.release();
  }
}

/** Tries to bring the knowledge back, one audit after the other; audits.json is written after each, so that a cancelled request goes on where it was. */
export const audit: Handler<'audit'> = async (session, { run, workspace, audits: names, again = false, steps, paraphrases }, call) => {
  const folder = unwrap(await resolveRun(diskReader, workspace, run, process.cwd()));
  const runFolder = unwrap(await readRunFolder(diskReader, folder));
  const { record, recipe: written } = runFolder;
  const options: AuditOptions = {
    steps: steps ?? usualOptions.steps,
    paraphrases: paraphrases === undefined ? usualOptions.paraphrases : path.resolve(workspace, paraphrases),
  };
  const { list, left } = chosen(runFolder, names, options);
  const open = list.filter((one) => again || !isKept(one, runFolder, options));
  let results: AuditRecord['audits'] = runFolder.audits?.audits ?? {};
  if (open.length > 0) {
    let opened: OpenedModel | undefined;
    const read = await openRecipe(written, folder, {
      signal: call.signal,
      open: async (at, memory) => {
        opened = await session.models.open(at, memory, call.signal);
        return opened;
      },
    });
    if (!opened) throw new Error('The recipe opened no model.');
    const model = opened;
    const release = session.models.hold(model);
    const sets = setsOf(read);
    const activations = await openActivations(
      path.dirname(path.dirname(folder)),
      model,
      sets.flatMap(({ sequences }) => sequences),
      read.recipe.memory,
    );
    const batch = read.recipe.batchSize === 'all' ? usualBatch : read.recipe.batchSize;
    const costOf = (one: Audit) => {
      const { rows, steps: updates } = one.cost(runFolder, options);
      return rows + updates * batch * stepPasses;
    };
    const total = open.reduce((sum, one) => sum + costOf(one), 0);
    let done = 0;
    let limit = 0;
    const advance = (amount: number) => {
      done = Math.min(limit, done + amount);
      call.progress('Auditing', done, total, 'rows');
    };
    try {
      const rowsIn = async (file: string, purpose: 'train' | 'evaluate') =>
        (await readSet(model, [fromFile(file)], purpose, readingOf(read.recipe), call.signal)).made.sequences;
      const wantsParaphrases = options.paraphrases !== null && open.some(({ descriptor }) => descriptor.id === 'paraphrase');
      const bench = openBench({
        model: model.model,
        recipe: read.recipe,
        target: record.target,
        edited: await overlayFor(session, model, { run: folder, workspace }, 'rounded', call.signal),
        sets,
        paraphrases: wantsParaphrases
          ? { role: 'forget', file: options.paraphrases ?? '', sequences: await rowsIn(options.paraphrases ?? '', 'evaluate') }
          : null,
        forget: read.forget.sequences,
        asText: ({ file }) => rowsIn(file, 'train'),
        options,
        activations,
        signal: call.signal,
        did: ({ rows = 0, steps: updates = 0 }) => advance(rows + updates * batch * stepPasses),
      });
      for (const one of open) {
        limit += costOf(one);
        const began = performance.now();
        try {
          const measured = await one.measure(bench, runFolder);
          results = await keepAudit(folder, one.descriptor.id, { ...measured, seconds: (performance.now() - began) / 1000 });
        } catch (error) {
          const fault = faultOf(error);
          // One that this machine or these data can't do leaves the others their turn.
          if (names !== undefined || fault.code === 'cancelled' || fault.code === 'internal') throw error;
          left.push({ audit: one.descriptor.id, why: sentence(fault) });
        }
        advance(limit - done);
      }
    } finally {
      release();
      await activations.store?.close();
    }
  }
  const views = auditViews({ ...runFolder, audits: { run: record.id, audits: results } }, options);
  return { run: record.id, audits: results, views, left, worst: worstAudit(views) };
};
