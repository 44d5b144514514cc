/** How a run reports to the session: its events, its model, its steering. */
import type { RunHooks } from '../experiment/run';
import type { Call, Session } from './call';
import type { OpenedModel } from './opened-models';

/** Hooks of one run, and what ends them. The model stays open as long as the run lasts. */
export function runHooks({ emit, models, steering }: Session, call: Call): { readonly hooks: RunHooks; readonly end: () => void } {
  const { wish, end } = steering.begin();
  const held: (() => void)[] = [];
  let run = '';
  return {
    hooks: {
      signal: call.signal,
      time: true,
      steering: wish,
      open: async (folder, memory): Promise<OpenedModel> => {
        const opened = await models.open(folder, memory, call.signal);
        held.push(models.hold(opened));
        return opened;
      },
      progress: call.progress,
      started(folder, record) {
        run = record.id;
        emit('runStarted', { folder, record });
      },
      step: (record) => emit('step', { run, record, memoryBytes: process.memoryUsage.rss() }),
      check: (record) => emit('check', { run, record }),
      warn: (message) => emit('log', { level: 'warn', message }),
    },
    end() {
      end();
      for (const release of held) release();
    },
  };
}
