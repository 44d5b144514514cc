import { resolveRun } from '../../experiment/history';
import { resumeRun, startRun as start } from '../../experiment/run';
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
    return await traced(trace, async () =>
      resume === undefined
        ? start(withSessionSettings(session, recipe), folder, workspace, sweep ? { ...hooks, sweep } : hooks)
        : resumeRun(unwrap(await resolveRun(diskReader, workspace, resume, process.cwd())), hooks),
    );
  } finally {
    end();
  }
};

export const steerRun: Handler<'steerRun'> = async ({ steering }, { action }) => {
  steering.steer(action);
  return null;
};
