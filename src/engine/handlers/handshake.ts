import { version } from '../../../package.json';
import { unwrap } from '../../protocol/fault';
import { memoryBytes } from '../../protocol/recipe';
import { openBackend } from '../../tensor/backend';
import type { Handler } from '../call';
import { catalogue } from '../catalogue';

export const handshake: Handler<'handshake'> = async (session, params) => {
  const { settings } = session;
  session.settings = {
    backend: params.backend ?? settings.backend,
    threads: params.threads ?? settings.threads,
    memory: params.memory === undefined ? settings.memory : unwrap(memoryBytes(params.memory)),
  };
  const backend = unwrap(await openBackend(session.settings.backend, session.settings.threads));
  return { version, backend, catalogue };
};
