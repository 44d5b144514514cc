import os from 'node:os';
import { unwrap } from '../../protocol/fault';
import { nativeFolder } from '../../tensor/native/place';
import { planNative, removeNative, setUpNative } from '../../tensor/native/setup';
import type { Handler } from '../call';

export const planNativeSetup: Handler<'planNative'> = (_session, { gpu = false }, { signal }) => planNative(nativeFolder(), gpu, signal);

/** Fetch, unpack, compile, prove; with CUDA two more. */
const stepsOf = (gpu: boolean): number => (gpu ? 6 : 4);

export const setUp: Handler<'setUpNative'> = ({ emit, settings }, { gpu = false }, call) => {
  let step = 0;
  return setUpNative(nativeFolder(), gpu, settings.threads === 'auto' ? os.availableParallelism() : settings.threads, {
    signal: call.signal,
    say: (message) => {
      emit('log', { level: 'info', message });
      call.progress(message, step++, stepsOf(gpu), 'steps');
    },
  });
};

export const removeNativeSetup: Handler<'removeNative'> = async () => {
  const folder = nativeFolder();
  return { folder, removed: unwrap(await removeNative(folder)) };
};
