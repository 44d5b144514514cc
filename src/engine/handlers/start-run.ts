import { resolveRun } from '../../experiment/history';
import { resumeRun, startRun as start } from '../../experiment/run';
import { refuseLinks } from '../../experiment/run-folder';
import { diskReader } from '../../experiment/run-reader';
import { unwrap } from '../../protocol/fault';
import type { Handler } from '../call';
import { runHooks } from '../run-hooks';
import { withSessionSettings } from '../session-recipe';
import { traced } from '../traced';

/** A new run of the recipe, or the rest of an old one. */
export const startRun: Handler<'startRun'> = async (session, { recipe, folder, workspace, resume, trace, sweep }, call) => {
  const { hooks, end } = runHooks(session, call);
  try {
    return await traced(trace, async () => {
      // A sweep tells its time by its runs: a sample in each would cost more than it says.
      const own = sweep ? { ...hooks, sweep, time: false } : hooks;
      if (resume === undefined) return start(withSessionSettings(session, recipe), folder, workspace, own);
      const run = unwrap(await resolveRun(diskReader, workspace, resume, process.cwd()));
      await refuseLinks(run);
      return resumeRun(run, hooks);
    });
  } finally {
    end();
  }
};

export const steerRun: Handler<'steerRun'> = async ({ steering }, { action }) => {
  steering.steer(action);
  return null;
};
