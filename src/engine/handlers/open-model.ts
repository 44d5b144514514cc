import type { Handler } from '../call';
import { modelInfo } from '../model-info';
import { backendReady } from '../session-backend';

export const openModel: Handler<'openModel'> = async (session, { path }, call) => {
  const { memory } = session.settings;
  const opened = await session.models.open(path, memory);
  return modelInfo(opened, memory, await backendReady(session, opened), call);
};

export const closeModel: Handler<'closeModel'> = async ({ models }, { path }) => {
  await models.close(path);
  return null;
};
