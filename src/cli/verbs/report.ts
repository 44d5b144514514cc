import { Option } from 'commander';
import { writeAtomic } from '../../files/atomic-write';
import { unwrap } from '../../protocol/fault';
import { verb } from '../verb';

interface Own {
  readonly html?: boolean;
  readonly filesOnly?: boolean;
  readonly to?: string;
}

export const report = verb<[run: string], Own>({
  name: 'report',
  summary: 'Report on a run as Markdown or as one HTML page',
  arguments: [['<run>', 'run id, number or folder']],
  options: [
    new Option('--html', 'one HTML page: scores, routing, answers, audits, settings; opens without a network'),
    new Option('--files-only', 'with --html: leave out routing and answers, for which the model runs'),
    new Option('--to <file>', 'write it to a file'),
  ],
  example: 'uoe report 1 --html --to report.html',
  async run({ request, workspace }, [run], { html, filesOnly, to }) {
    const form = html ? 'html' : 'markdown';
    const { text } = await request('report', { run, workspace, form, filesOnly });
    if (to === undefined) return { json: { form, text }, text };
    unwrap(await writeAtomic(to, text));
    return { json: { form, file: to }, text: `Wrote ${to}.`, done: true };
  },
});
