/** `uoe <verb>`: parses, runs one verb, prints its result, and says with the exit code how it went. */
import { Command, CommanderError } from 'commander';
import { version } from '../../package.json';
import { type Fault, faultOf, sentence } from '../protocol/fault';
import { plainJson, plainText } from '../protocol/plain-text';
import { cancelledExit } from './interrupt';
import { type CommonOptions, everywhere } from './options';
import { barProgress, lineProgress, type ProgressDisplay } from './progress';
import { openShell } from './shell';
import type { Shown, Verb } from './verb';
import { verbs } from './verbs';

const failedExit = 1;
const usageExit = 2;

/** Written in full before the process ends. */
const print = (stream: NodeJS.WriteStream, text: string): Promise<void> => new Promise((resolve) => stream.write(text, () => resolve()));

const progressDisplay = (): ProgressDisplay => (process.stderr.isTTY ? barProgress(process.stderr) : lineProgress((text) => process.stderr.write(text)));

const exitCodeOf = ({ code }: Fault): number => (code === 'cancelled' ? cancelledExit : code === 'usage' ? usageExit : failedExit);

async function printShown({ json, text, failure }: Shown, asJson: boolean): Promise<number> {
  if (text === '' && !asJson) return 0;
  await print(process.stdout, asJson ? `${plainJson(json)}\n` : plainText(text.endsWith('\n') ? text : `${text}\n`));
  if (failure === undefined) return 0;
  await print(process.stderr, plainText(`${failure}\n`));
  return failedExit;
}

async function runVerb(
  verb: Verb,
  args: readonly (string | readonly string[] | undefined)[],
  options: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<number> {
  const common: CommonOptions = options;
  const display = progressDisplay();
  try {
    const shell = openShell(common, signal, display);
    const shown = await verb.run(shell, args, options);
    await shell.close();
    display.end();
    if (signal.aborted && !shown.done) return cancelled('Cancelled.');
    return await printShown(shown, common.json === true);
  } catch (error) {
    display.end();
    const fault = faultOf(error);
    if (signal.aborted || fault.code === 'cancelled') return cancelled(fault.code === 'cancelled' ? sentence(fault) : 'Cancelled.');
    await print(process.stderr, plainText(`${sentence(fault)}\n`));
    return exitCodeOf(fault);
  }
}

async function cancelled(text: string): Promise<number> {
  await print(process.stderr, plainText(`${text}\n`));
  return cancelledExit;
}

/** `error: unknown option '--x'\n(Did you mean --y?)` as one sentence. */
function usageSentence(message: string): string {
  const [first, ...rest] = message.replace(/^error: /, '').split('\n');
  const hint = rest.join(' ').replace(/^\((.*)\)$/, ' $1');
  return `${first.charAt(0).toUpperCase()}${first.slice(1)}${/[.!?]$/.test(first) ? '' : '.'}${hint} See "uoe --help".`;
}

function commandOf(program: Command, verb: Verb, ended: (code: number) => void, signal: AbortSignal): void {
  const command = program.command(verb.name).summary(verb.summary).description(`${verb.summary}.`);
  for (const [form, help] of verb.arguments ?? []) command.argument(form, help);
  for (const option of verb.options) command.addOption(option);
  const own = new Set(verb.options.map((option) => option.long));
  for (const option of everywhere()) if (!own.has(option.long)) command.addOption(option);
  command.addHelpText('after', `\nExample:\n  ${verb.example}`);
  command.action(async (...given: unknown[]) => {
    const args = given.slice(0, -2) as (string | readonly string[] | undefined)[];
    ended(await runVerb(verb, args, command.opts(), signal));
  });
}

/** Runs the command line; gives the exit code. */
export async function runProgram(argv: readonly string[], signal: AbortSignal): Promise<number> {
  let code = 0;
  const ended = (own: number) => {
    code = own;
  };
  const program = new Command('uoe')
    .description('Removes chosen knowledge from a Mixture-of-Experts language model by editing one expert, and says whether it is gone or hidden.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 usage, 130 cancelled. "uoe <verb> --help" shows an example.');
  for (const verb of verbs) commandOf(program, verb, ended, signal);
  if (argv.length === 0) {
    await print(process.stderr, program.helpInformation());
    return usageExit;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    await print(process.stderr, plainText(`${usageSentence(error.message)}\n`));
    return usageExit;
  }
}
