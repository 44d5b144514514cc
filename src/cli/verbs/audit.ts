import { InvalidArgumentError, Option } from 'commander';
import { audits } from '../../audit/audits';
import { textTable } from '../../experiment/table';
import { fraction, missing } from '../../protocol/numbers';
import { whole } from '../options';
import { verb } from '../verb';

interface AuditFlags {
  readonly only?: readonly string[];
  readonly again?: boolean;
  readonly steps?: number;
  readonly paraphrases?: string;
}

const ids = audits.map(({ descriptor }) => descriptor.id);

function auditList(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !ids.includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no audit "${unknown}"; known: ${ids.join(', ')}.`);
  return names;
}

export const audit = verb<[run: string], AuditFlags>({
  name: 'audit',
  summary: 'Try to bring back what a run made the model forget, each way against the original under the same intervention: is it gone, or hidden',
  arguments: [['<run>', 'run id, number or folder']],
  options: [
    new Option('--only <audits>', `some of ${ids.join(', ')}, with commas between (default: all that can be run)`).argParser((text) => auditList(text)),
    new Option('--paraphrases <file>', 'the forget questions in other words'),
    new Option('--steps <n>', 'updates of the relearning audits (default: 10)').argParser((text) => whole(1)(text)),
    new Option('--again', 'measure again what audits.json holds already'),
  ],
  example: 'uoe audit 2026-11-23T10-15-02-npo --only forbid,relearn',
  async run({ request, workspace }, [run], { only, again, steps, paraphrases }) {
    const answer = await request('audit', { run, workspace, audits: only, again, steps, paraphrases });
    const shown = answer.views.filter(({ id, outcome }) => outcome !== null && (only === undefined || only.includes(id)));
    const titles = ['Audit', 'Edited, as it is', 'Edited, audited', 'Original, audited', 'Verdict'];
    const columns = titles.map((title, i) => ({ title, align: i >= 1 && i <= 3 ? ('right' as const) : ('left' as const) }));
    const rows = shown.flatMap(({ title, outcome }) => {
      if (outcome === null) return [];
      const { before, after, original, series, verdict } = outcome;
      // Of a near topic nothing is done but measuring.
      const asItIs = series === 'near' ? missing : fraction(before);
      return [[title, asItIs, fraction(after), fraction(original), verdict.text].map((text) => ({ text }))];
    });
    const lines = [
      textTable(columns, rows),
      '',
      ...shown.map(({ title, outcome }) => `${title}. ${outcome?.text ?? ''}`),
      ...answer.left.map(({ audit: id, why }) => `Not run, ${id}: ${why}`),
      ...(answer.worst ? ['', `Worst: ${answer.worst.text}.`] : []),
    ];
    return { json: answer, text: lines.join('\n'), done: true };
  },
});
