import { unwrap } from '../../protocol/fault';
import type { Handler } from '../call';
import { modelInfo } from '../model-info';
import { enoughToOpen } from '../opening-memory';
import { backendReady } from '../session-backend';

export const openModel: Handler<'openModel'> = async (session, { path }, call) => {
  const { memory } = session.settings;
  const opened = await session.models.open(path, memory, call.signal);
  const backend = await backendReady(session, opened);
  unwrap(enoughToOpen(opened, memory));
  return modelInfo(opened, memory, backend, call);
};

export const closeModel: Handler<'closeModel'> = async ({ models }, { path }) => {
  await models.close(path);
  return null;
};
