/**
 * A tokenizer's patterns are regular expressions out of a file, and some need years for a line. JavaScript can't look inside them; a virtual machine's
 * clock can stop them. Starting that clock takes a tenth of a millisecond, so short pieces of work share it.
 */
import vm from 'node:vm';
import { refuse } from '../protocol/fault';

/** A line takes less than a millisecond; this much is for a machine that does other things too. */
const BASE = 500;
/** Any tokenizer reads a hundred times as many. */
const CHARACTERS_A_MILLISECOND = 20;
/** Processor time, of the limit, after which it is over: a first look as long as the limit, and a second, since a pause to collect garbage is no endless pattern. */
const ENOUGH = 1.3;
const MOST_LOOKS = 100;

let clock: { readonly script: vm.Script; readonly context: { work: () => void } } | undefined;

/** Runs `work` on a text of so many characters, again from its beginning where it was kept from computing; throws a fault that begins with `where` once that takes far longer than any tokenizer does. */
export function timely<T>(where: string, characters: number, work: () => T): T {
  clock ??= { script: new vm.Script('work()'), context: vm.createContext({ work: () => undefined }) as { work: () => void } };
  let made: { readonly value: T } | undefined;
  clock.context.work = () => {
    made = { value: work() };
  };
  const limit = BASE + Math.ceil(characters / CHARACTERS_A_MILLISECOND);
  // A pattern that never ends computes all the time; a process that others keep from computing has not been heard yet.
  for (let spent = 0, looks = 0; !made && spent < limit * ENOUGH && looks < MOST_LOOKS; looks++) {
    const before = process.cpuUsage();
    try {
      clock.script.runInContext(clock.context as unknown as vm.Context, { timeout: Math.ceil(looks === 0 ? limit : limit * (ENOUGH - 1)) });
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    }
    const { user, system } = process.cpuUsage(before);
    spent += (user + system) / 1000;
  }
  return made
    ? made.value
    : refuse(
        'bad-file',
        `${where}: the checkpoint's tokenizer takes too long for ${characters} characters.`,
        'One of its patterns in tokenizer.json may never end; copy the file again from where the checkpoint came from.',
      );
}
