import { planRun as plan } from '../../experiment/plan-run';
import type { Handler } from '../call';
import { withSessionSettings } from '../session-recipe';

/** What a recipe will do, before it is done; no pass is made, but a sample of the model's pieces for the seconds. */
export const planRun: Handler<'planRun'> = (session, { recipe, folder, time }, { signal }) =>
  plan(withSessionSettings(session, recipe), folder, { signal, time, open: (at, memory) => session.models.open(at, memory, signal) });
