/**
 * A process that waits for its word, so that whoever kills it knows when its work began. It carries out command lines, or a run by itself,
 * without the command line's plan of seconds, which takes longer than a tiny run.
 */
import { resumeRun, startRun } from '../../src/experiment/run';
import { faultOf, sentence } from '../../src/protocol/fault';

export type Work =
  | { readonly commands: readonly (readonly string[])[] }
  | { readonly start: { readonly recipe: unknown; readonly workspace: string } }
  | { readonly resume: string };

async function carryOut(work: Work): Promise<number> {
  if ('start' in work) await startRun(work.start.recipe, work.start.workspace, work.start.workspace);
  else if ('resume' in work) await resumeRun(work.resume);
  else {
    // Loaded only when it is needed: most processes have a run to do.
    const { runProgram } = await import('../../src/cli/program');
    for (const command of work.commands) {
      const code = await runProgram([...command], new AbortController().signal);
      if (code !== 0) return code;
    }
  }
  return 0;
}

process.once('message', (work: Work) => {
  void carryOut(work).then(
    (code) => process.exit(code),
    (error) => {
      process.stderr.write(`${sentence(faultOf(error))}\n`, () => process.exit(1));
    },
  );
});
process.send?.('ready');
