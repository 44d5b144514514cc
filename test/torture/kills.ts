/**
 * Processes killed with SIGKILL at random instants of a run, of its resumption, of apply, restore and export; what they leave must go on to the same bits.
 * One backend a process: `node kills.js BACKEND RUNS CHANGES SEED FOLDER` prints what survived as JSON.
 */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { cutExports } from '../../src/experiment/exports';
import { resumeRun } from '../../src/experiment/run';
import { isUnfinishedOf } from '../../src/files/unfinished';
import type { RunRecord } from '../../src/protocol/records';
import { fileOf, type SmallTensor, snapshot, writeIndex } from '../checkpoint/small-checkpoint';
import { goldenFolder, readJson, recipeFor, runNames, sharedModels, type Trace, traceOf, writeData } from '../experiment/run-case';
import { type Random, randomOf } from '../oracle/random';
import type { Work } from './kill-child';
import { expectClean, expectOldOrNew, expectRestored, Lost, lost, own, type Survived } from './power';

interface Killable {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
}

/** Processes that have loaded the program and wait. */
function spareProcesses(program: string, environment: NodeJS.ProcessEnv, count: number): { take(): Promise<ChildProcess>; end(): void } {
  const spawn = (): Killable => {
    const child = fork(program, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: environment });
    return { child, ready: new Promise((resolve) => child.once('message', () => resolve())) };
  };
  const spare = Array.from({ length: count }, spawn);
  return {
    async take() {
      const next = spare.shift() ?? spawn();
      await next.ready;
      spare.push(spawn());
      return next.child;
    },
    end: () => {
      for (const { child } of spare) child.kill('SIGKILL');
    },
  };
}

/** When to kill: some ms after the work began, or after the journal of the workspace's run has so many rows. */
interface Instant {
  readonly ms: number;
  readonly rows?: number;
  readonly workspace?: string;
}

function rowsOf(workspace: string): number {
  const [name] = runNames(workspace).filter((one) => !one.startsWith('.'));
  const at = path.join(workspace, '.uoe/runs', name ?? '', 'steps.jsonl');
  return name !== undefined && fs.existsSync(at) ? fs.readFileSync(at, 'utf8').split('\n').length - 1 : 0;
}

/** Has work done and kills at that instant, unless it has ended; gives the ms it took. Work that fails is an error. */
function carryOut(child: ChildProcess, work: Work, when: Instant | null): Promise<{ killed: boolean; ms: number }> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    let complaint = '';
    let timer: NodeJS.Timeout | undefined;
    child.stderr?.on('data', (text) => {
      complaint += text;
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (signal !== 'SIGKILL' && code !== 0) reject(new Lost(`the command ended with ${code ?? signal}: ${complaint.trim().split('\n').at(-1)}`));
      else resolve({ killed: signal === 'SIGKILL', ms: performance.now() - began });
    });
    child.send(work);
    const look = (): void => {
      if (when === null) return;
      const { ms, rows = 0, workspace } = when;
      if (workspace === undefined || rowsOf(workspace) >= rows) timer = setTimeout(() => child.kill('SIGKILL'), ms);
      else timer = setTimeout(look, 2);
    };
    look();
  });
}

/** A golden checkpoint in three shards, its second and third layer in shards of their own. */
function shardedModel(to: string): string {
  const from = goldenFolder('olmoe');
  const bytes = fs.readFileSync(path.join(from, 'model.safetensors'));
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  const shards: Record<string, SmallTensor>[] = [{}, {}, {}];
  const map: Record<string, string> = {};
  const nameOf = (shard: number) => `model-0000${shard + 1}-of-00003.safetensors`;
  for (const [name, tensor] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const shard = name.includes('layers.0.') ? 1 : name.includes('layers.1.') ? 2 : 0;
    shards[shard][name] = { dtype: tensor.dtype, shape: tensor.shape, bytes: bytes.subarray(start + tensor.data_offsets[0], start + tensor.data_offsets[1]) };
    map[name] = nameOf(shard);
  }
  fs.mkdirSync(to, { recursive: true });
  fs.copyFileSync(path.join(from, 'config.json'), path.join(to, 'config.json'));
  for (const [shard, tensors] of shards.entries()) fs.writeFileSync(path.join(to, nameOf(shard)), fileOf(tensors));
  writeIndex(to, map);
  return to;
}

const killSteps = 18;

const bothLayers = {
  experts: [
    { layer: 0, expert: 1 },
    { layer: 1, expert: 2 },
  ],
};

export interface KillOptions {
  readonly backend: string;
  /** Kills of a run, and of apply, restore and export. */
  readonly runs: number;
  readonly changes: number;
  readonly seed: number;
  readonly folder: string;
  /** The bundle of kill-child.ts. */
  readonly program: string;
  readonly say: (text: string) => void;
}

/** Kills until `count` processes were killed; those that ended before are not counted. */
async function killed(
  count: number,
  what: string,
  seed: number,
  once: (random: Random, number: number) => Promise<boolean>,
): Promise<Pick<Survived, 'failures'> & { tried: number }> {
  const failures: string[] = [];
  let tried = 0;
  for (let number = 0; tried < count && number < count * 3 + 20; number++) {
    try {
      if (await once(randomOf(`${what} ${seed} ${number}`), number)) tried++;
    } catch (error) {
      tried++;
      const why = error instanceof Lost ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
      failures.push(`${what}, kill ${number} with seed ${seed}: ${why}`);
    }
  }
  return { failures, tried };
}

export async function killProcesses({ backend, runs, changes, seed, folder, program, say }: KillOptions): Promise<Survived> {
  const models = sharedModels();
  const spare = spareProcesses(program, process.env, 2);
  const flags = (workspace: string) => ['--workspace', workspace, '--threads', '1', '--json', ...(backend === 'auto' ? [] : ['--backend', backend])];
  const model = shardedModel(path.join(folder, 'model'));
  const usual = recipeFor(model) as { readonly checks: object };
  const recipe = recipeFor(model, {
    keep: 'best',
    steps: killSteps,
    checks: { ...usual.checks, everySteps: 5 },
    target: bothLayers,
    ...(backend === 'auto' ? {} : { backend }),
  });
  const workspaceFor = (name: string): { workspace: string; file: string } => {
    const workspace = path.join(folder, name);
    writeData(workspace);
    const file = path.join(workspace, 'recipe.uoe.json');
    fs.writeFileSync(file, JSON.stringify(recipe));
    return { workspace, file };
  };
  const runOf = (workspace: string): string | undefined => {
    const [name] = runNames(workspace).filter((own) => !own.startsWith('.'));
    return name === undefined ? undefined : path.join(workspace, '.uoe/runs', name);
  };
  try {
    const first = workspaceFor('whole');
    const { ms: byCommand } = await carryOut(await spare.take(), { commands: [['unlearn', first.file, ...flags(first.workspace)]] }, null);
    const whole = runOf(first.workspace) ?? lost('the undisturbed run left no folder');
    const undisturbed: Trace = traceOf(whole);
    const second = workspaceFor('alone');
    const { ms: alone } = await carryOut(await spare.take(), { start: { recipe, workspace: second.workspace } }, null);
    say(`${backend}: an undisturbed run takes ${alone.toFixed(0)} ms, on the command line ${byCommand.toFixed(0)} ms`);
    let before = 0;
    let again = 0;
    let commands = 0;
    const ofRuns = await killed(runs, `run on ${backend}`, seed, async (random, number) => {
      const { workspace, file } = workspaceFor(`killed-${number}`);
      // Every tenth is a command line; most of its time goes into its plan.
      const isCommand = number % 10 === 0;
      const ms = isCommand ? byCommand : alone;
      // Two thirds are killed in training, whose every instant is another state; the others anywhere.
      const instant = (from: number): Instant =>
        random.chance(2 / 3) ? { ms: random.uniform() * (alone / killSteps), rows: random.integer(from, killSteps), workspace } : { ms: random.uniform() * ms };
      const starting: Work = isCommand ? { commands: [['unlearn', file, ...flags(workspace)]] } : { start: { recipe, workspace } };
      const resuming = (run: string): Work => (isCommand ? { commands: [['unlearn', '--resume', run, ...flags(workspace)]] } : { resume: run });
      try {
        const start = await carryOut(await spare.take(), starting, instant(0));
        if (!start.killed) return false;
        if (isCommand) commands++;
        let run = runOf(workspace);
        // A third is killed once more while it goes on.
        if (run !== undefined && random.chance(1 / 3) && readJson<RunRecord>(run, 'run.json').status !== 'done') {
          again++;
          await carryOut(await spare.take(), resuming(run), instant(rowsOf(workspace)));
        }
        if (run === undefined) {
          before++;
          await carryOut(await spare.take(), starting, null);
          run = runOf(workspace) ?? lost('a new run left no folder');
        } else if (readJson<RunRecord>(run, 'run.json').status !== 'done') await resumeRun(run, { open: models.open });
        const trace = traceOf(run);
        for (const part of Object.keys(trace) as (keyof Trace)[])
          if (!isDeepStrictEqual(trace[part], undisturbed[part])) lost(`${part} of the run is another than that of an undisturbed one`);
        await expectClean(path.join(workspace, '.uoe'));
        return true;
      } finally {
        fs.rmSync(workspace, { recursive: true, force: true });
      }
    });
    say(`${backend}: ${ofRuns.tried - ofRuns.failures.length} of ${ofRuns.tried} killed runs survived`);

    const original = own(model);
    const to = path.join(folder, 'exported');
    const patchFile = path.join(folder, 'patch.safetensors');
    const changing = [
      ['apply', whole, ...flags(first.workspace)],
      ['restore', model, ...flags(first.workspace)],
      ['export', whole, '--to', to, ...flags(first.workspace)],
      ['export', whole, '--patch', patchFile, ...flags(first.workspace)],
    ];
    await carryOut(await spare.take(), { commands: changing.slice(0, 1) }, null);
    const patched = own(model);
    const rest = await carryOut(await spare.take(), { commands: changing.slice(1) }, null);
    const exported = snapshot(to);
    const patch = fs.readFileSync(patchFile).toString('base64');
    const clear = (): void => {
      fs.rmSync(to, { recursive: true, force: true });
      fs.rmSync(patchFile, { force: true });
    };
    clear();
    const ofChanges = await killed(changes, `apply, restore, export on ${backend}`, seed, async (random) => {
      const end = await carryOut(await spare.take(), { commands: changing }, { ms: random.uniform() * rest.ms * 1.3 });
      await expectOldOrNew(model, original, patched);
      await expectRestored(model, original);
      const isLeft = fs.readdirSync(folder).some((name) => isUnfinishedOf('exported', name));
      const [isThere, hasPatch] = [fs.existsSync(to), fs.existsSync(patchFile)];
      if (isThere && !isDeepStrictEqual(snapshot(to), exported)) lost('an export under its final name is not whole');
      if (hasPatch && fs.readFileSync(patchFile).toString('base64') !== patch) lost('a patch under its final name is not whole');
      if (isLeft && (await cutExports(first.workspace)).length === 0) lost('nothing says that an export was cut short');
      // What is left behind beside the target goes with the next export to it.
      if (!isThere) {
        await carryOut(await spare.take(), { commands: changing.slice(2, hasPatch ? 3 : 4) }, null);
        if (!isDeepStrictEqual(snapshot(to), exported)) lost('the export made after it is another one');
        if ((await cutExports(first.workspace)).length > 0) lost('an export that is there is told of as cut short');
        await expectClean(folder, { locks: false });
      }
      clear();
      return end.killed;
    });
    if (changes > 0) {
      const earlier = new Date(Date.now() - 3_600_000);
      for (const name of fs.readdirSync(folder, { recursive: true }) as string[])
        if (name.endsWith('.uoe-tmp')) fs.utimesSync(path.join(folder, name), earlier, earlier);
      await carryOut(await spare.take(), { commands: changing }, null);
      await expectClean(folder);
    }
    say(`${backend}: ${ofChanges.tried - ofChanges.failures.length} of ${ofChanges.tried} killed changes survived`);
    const row = (what: string, { tried, failures }: typeof ofRuns, note?: string) => ({
      what,
      tried,
      survived: tried - failures.length,
      ...(note ? { note } : {}),
    });
    return {
      rows: [
        row(
          `SIGKILL, run on ${backend}`,
          ofRuns,
          `${commands} of them command lines, ${again} killed again while resuming, ${before} before the run had a folder`,
        ),
        ...(changes > 0 ? [row(`SIGKILL, apply, restore, export on ${backend}`, ofChanges)] : []),
      ],
      failures: [...ofRuns.failures, ...ofChanges.failures],
    };
  } finally {
    spare.end();
    await models.close();
  }
}

if (process.argv[1] !== undefined && path.basename(process.argv[1]) === 'kills.js') {
  const [backend, runs, changes, seed, folder] = process.argv.slice(2);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  void killProcesses({
    backend,
    runs: Number(runs),
    changes: Number(changes),
    seed: Number(seed),
    folder,
    program: path.join(__dirname, 'kill-child.js'),
    say,
  }).then(
    (survived) => process.stdout.write(JSON.stringify(survived), () => process.exit(0)),
    (error) => {
      say(error instanceof Error ? (error.stack ?? error.message) : String(error));
      process.exit(1);
    },
  );
}
