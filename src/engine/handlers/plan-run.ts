import { planRun as plan } from '../../experiment/plan-run';
import type { Handler } from '../call';
import { withSessionSettings } from '../session-recipe';

/** What a recipe will do, before it is done; no pass is made. */
export const planRun: Handler<'planRun'> = (session, { recipe, folder }, { signal }) =>
  plan(withSessionSettings(session, recipe), folder, { signal, open: (at, memory) => session.models.open(at, memory) });
