/**
 * The sweeps of the workspace, kept up to date while something of them is under way: whoever started them, this window, another one, a terminal,
 * or a window that was closed since. Run folders are read every few seconds; Slurm is asked seldom, and not at all once nothing is left to ask.
 */
import path from 'node:path';
import { isUnderWay, type Sight, shortestPollSeconds } from '../../experiment/executor';
import type { RunRecord } from '../../protocol/records';
import type { SweepPage, SweepView } from '../../protocol/sweep-view';
import { createStore, type Store } from './store';

/** Loaded when the workspace has sweeps: no window waits for it. */
const reading = () => import('../../experiment/read-sweeps');
const hands = () => import('../../experiment/sweep-hands');
const locks = () => import('../../files/lock');
const folders = () => import('../../files/folder');

export interface SweepSurroundings {
  readonly workspace: () => string;
  readonly records: () => readonly RunRecord[];
  /** Reads the history again; `records` changes with it. */
  readonly refreshRuns: () => Promise<void>;
  readonly pollSeconds: () => number;
  /** Somebody looks at the sweeps. */
  readonly isVisible: () => boolean;
}

export interface Sweeps {
  readonly store: Store<{ readonly sweeps: readonly SweepView[] }>;
  /** Looks now; `anew`: also asks Slurm, as soon as that may be. Never rejects. */
  look(anew?: boolean): Promise<void>;
  /** Looks on while this lasts: a process that was started has written nothing yet. */
  expect(ended: Promise<unknown>): void;
  page(view: SweepView): Promise<SweepPage>;
  dispose(): void;
}

const unseenPoll = 60;
const lookEvery = { seen: 2000, unseen: 10_000 };

export function createSweeps({ workspace, records, refreshRuns, pollSeconds, isVisible }: SweepSurroundings): Sweeps {
  const store = createStore<{ readonly sweeps: readonly SweepView[] }>({ sweeps: [] });
  const asked = new Map<string, { readonly at: number; readonly sights: ReadonlyMap<string, Sight> }>();
  let timer: NodeJS.Timeout | undefined;
  let going: Promise<void> | null = null;
  let isWanted = false;
  let isDisposed = false;
  /** When Slurm was last wanted to be asked before its time. */
  let wantedAnew = Number.NEGATIVE_INFINITY;
  /** Processes that this window started. */
  let started = 0;
  let seenRuns = '';

  /** `at`: when it was asked last. */
  function isDue({ at, sights }: { readonly at: number; readonly sights: ReadonlyMap<string, Sight> }): boolean {
    const seconds = (Date.now() - at) / 1000;
    if (seconds < shortestPollSeconds) return false;
    return at < wantedAnew || (seconds >= Math.max(pollSeconds(), isVisible() ? 0 : unseenPoll) && [...sights.values()].some(isUnderWay));
  }

  async function askSlurm(folder: string): Promise<ReadonlyMap<string, Sight>> {
    const last = asked.get(folder);
    if (last && !isDue(last)) return last.sights;
    const at = Date.now();
    const { slurmSights } = await hands();
    const sights = await slurmSights(folder);
    asked.set(folder, { at, sights });
    // A watcher does not hear what other machines write to a shared disk.
    await refreshRuns();
    return sights;
  }

  /** Nothing on the disk changes when the process of a run is killed. */
  async function noticeLost(): Promise<void> {
    const { isLockHeld } = await locks();
    const running = records().filter(({ status, sweep }) => status === 'running' && sweep !== undefined);
    const held = await Promise.all(running.map(({ id }) => isLockHeld(path.join(workspace(), '.uoe', 'runs', id, '.lock'))));
    if (held.includes(false)) await refreshRuns();
  }

  /** Nobody tells of a change on a disk of other machines, or where the system has no watch to spare. */
  async function noticeChanged(): Promise<void> {
    if (started === 0 && !store.get().sweeps.some(({ isLive }) => isLive)) return;
    const { fileStatus, listFolder } = await folders();
    const runs = path.join(workspace(), '.uoe', 'runs');
    const listed = await listFolder(runs);
    const names = (listed.ok ? listed.value : []).filter(({ kind }) => kind === 'folder').map(({ name }) => name);
    const states = await Promise.all(
      names.map(async (name) => {
        const status = await fileStatus(path.join(runs, name, 'run.json'));
        return status.ok ? `${name} ${status.value.inode} ${status.value.modified}` : name;
      }),
    );
    const now = states.join('\n');
    if (now === seenRuns) return;
    seenRuns = now;
    await refreshRuns();
  }

  async function lookOnce(): Promise<void> {
    await noticeChanged();
    await noticeLost();
    const { readSweeps } = await reading();
    const sweeps = await readSweeps(workspace(), records, askSlurm);
    if (isDisposed) return;
    if (JSON.stringify(sweeps) !== JSON.stringify(store.get().sweeps)) store.set({ sweeps });
    clearTimeout(timer);
    const isAwaited = started > 0 || Date.now() < wantedAnew + shortestPollSeconds * 1000;
    if (isAwaited || sweeps.some(({ isLive }) => isLive)) timer = setTimeout(() => void look(), isVisible() ? lookEvery.seen : lookEvery.unseen);
  }

  async function lookUntilNoneAsks(): Promise<void> {
    while (isWanted && !isDisposed) {
      isWanted = false;
      // A disk that is away for a moment: what was seen last stays.
      await lookOnce().catch(() => undefined);
    }
  }

  function look(anew = false): Promise<void> {
    if (anew) wantedAnew = Date.now();
    isWanted = true;
    going ??= lookUntilNoneAsks().finally(() => {
      going = null;
    });
    return going;
  }

  return {
    store,
    look,
    expect(ended) {
      started++;
      void ended
        .then(() => look())
        .finally(() => {
          started--;
        });
    },
    async page(view) {
      const { readSweepPage } = await reading();
      return readSweepPage(workspace(), view, records());
    },
    dispose() {
      isDisposed = true;
      clearTimeout(timer);
    },
  };
}
