/** The command line as the extension starts it: asked for an answer, or left to carry out a sweep by itself, whatever becomes of this window. No vscode here. */
import path from 'node:path';
import type { LeftEnd } from '../files/programs';
import { fail, faultOf, ok, type Result } from '../protocol/fault';

/** Loaded when it is first used: no window waits for it. */
const programs = () => import('../files/programs');
const folders = () => import('../files/folder');

export interface CommandLine {
  /** Its JSON answer, or the sentence that it says instead. */
  ask(args: readonly string[], cwd: string): Promise<Result<unknown>>;
  /** Goes on without this process; what it says goes to `log`. `ended` is for as long as this process lives. */
  leave(args: readonly string[], cwd: string, log: string): Promise<Result<{ readonly ended: Promise<LeftEnd> }>>;
}

/** process.execPath is Electron on a desktop and the server's own node on a remote. */
const environment = { ELECTRON_RUN_AS_NODE: '1', ELECTRON_NO_ASAR: '1', NODE_OPTIONS: '' };

const lastLine = (text: string): string =>
  text
    .split('\n')
    .findLast((line) => line.trim() !== '')
    ?.trim() ?? '';

/** Characters of an answer: the scripts of a sweep of ten thousand runs. */
const mostKept = 2 ** 26;

/** `program`: the file that node runs. */
export function commandLine(program: () => Promise<string>): CommandLine {
  const found = (): Promise<Result<string>> => program().then(ok, (error: unknown) => ({ ok: false, fault: faultOf(error) }));
  return {
    async ask(args, folder) {
      const file = await found();
      if (!file.ok) return file;
      const { runProgram } = await programs();
      const { code, out, errors } = await runProgram(process.execPath, [file.value, ...args, '--json'], { environment, folder, kept: mostKept });
      try {
        if (code === 0) return ok(JSON.parse(out));
      } catch {
        // Then what it said is the reason.
      }
      return fail(code === 130 ? 'cancelled' : 'conflict', lastLine(errors) || `The command line ended with ${code}.`);
    },
    async leave(args, folder, log) {
      const file = await found();
      if (!file.ok) return file;
      const { makeFolder } = await folders();
      const made = await makeFolder(path.dirname(log));
      if (!made.ok) return made;
      const { leaveProgram } = await programs();
      const line = `${new Date().toISOString()} uoe ${args.join(' ')}`;
      return ok(await leaveProgram(process.execPath, [file.value, ...args], { log, line, environment, folder }));
    },
  };
}
