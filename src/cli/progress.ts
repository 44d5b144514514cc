/** Progress on stderr: a bar on a terminal, else a line now and then for phases that take longer than a moment. */
import { SingleBar } from 'cli-progress';
import { readableSize } from '../files/readable-size';
import type { EngineEvents } from '../protocol/engine';
import { duration } from '../protocol/numbers';
import { plainText } from '../protocol/plain-text';

export interface ProgressDisplay {
  show(progress: EngineEvents['progress']): void;
  /** A line of text between bars. */
  note(text: string): void;
  end(): void;
}

const momentMs = 1000;
const lineEveryMs = 5000;

const amount = ({ done, total, unit }: EngineEvents['progress']): string =>
  plainText(unit === 'bytes' ? `${readableSize(done)} of ${readableSize(total)}` : `${done} of ${total} ${unit}`);

/** For files and pipes. */
export function lineProgress(write: (text: string) => void): ProgressDisplay {
  let phase = '';
  let next = 0;
  return {
    show(progress) {
      const now = Date.now();
      if (progress.phase !== phase) {
        phase = progress.phase;
        next = now + momentMs;
      }
      if (now < next) return;
      next = now + lineEveryMs;
      write(plainText(`${phase}: ${amount(progress)}\n`));
    },
    note: (text) => write(plainText(`${text}\n`)),
    end: () => undefined,
  };
}

/** For a terminal: one bar at a time, with the time that is left once a second has passed. */
export function barProgress(stream: NodeJS.WriteStream): ProgressDisplay {
  let bar: SingleBar | null = null;
  // A note takes the bar away for a moment; the phase and its clock go on.
  let phase = { name: '', began: 0, first: 0 };
  const stop = () => {
    bar?.stop();
    bar = null;
  };
  return {
    show(progress) {
      if (progress.phase !== phase.name) {
        stop();
        phase = { name: progress.phase, began: Date.now(), first: progress.done };
      }
      const seconds = (Date.now() - phase.began) / 1000;
      const made = progress.done - phase.first;
      const left = made > 0 && seconds > 1 ? ` · ${duration((seconds / made) * (progress.total - progress.done))} left` : '';
      if (bar === null) {
        bar = new SingleBar({
          stream,
          hideCursor: true,
          clearOnComplete: true,
          format: '{phase} {bar} {amount}{left}',
          barsize: 24,
          barCompleteChar: '█',
          barIncompleteChar: '░',
        });
        bar.start(Math.max(1, progress.total), progress.done, { phase: plainText(phase.name), amount: amount(progress), left });
        return;
      }
      bar.setTotal(Math.max(1, progress.total));
      bar.update(progress.done, { amount: amount(progress), left });
    },
    note(text) {
      stop();
      stream.write(plainText(`${text}\n`));
    },
    end: stop,
  };
}
