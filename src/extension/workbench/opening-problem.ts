/** Why a checkpoint could not be opened, and what to do instead. */
import type { Fault } from '../../protocol/fault';
import type { ProblemView } from '../../protocol/workbench';
import { t } from './text';

type Opening = Pick<ProblemView, 'title' | 'actions' | 'kind'>;

/** Shards of two checkpoints, left by an apply or a restore that was cut short (src/checkpoint/applied-state.ts). */
const isMixed = ({ code, message }: Fault): boolean => code === 'conflict' && message.includes("don't belong together");

export function openingProblem(fault: Fault): Opening {
  const { code } = fault;
  const isOther = code === 'unsupported';
  return {
    title: isOther
      ? t('This architecture is not supported')
      : code === 'no-memory'
        ? t('Not enough memory to open this model')
        : t('The checkpoint could not be opened'),
    kind: isOther ? 'architecture' : code === 'no-memory' ? 'memory' : 'file',
    actions: [
      ...(code === 'no-memory'
        ? [
            { id: 'memorySetting' as const, label: t('Open setting') },
            { id: 'openAgain' as const, label: t('Check again') },
          ]
        : []),
      ...(isMixed(fault) ? [{ id: 'restoreOriginal' as const, label: t('Restore Original') }] : []),
      { id: 'openCheckpoint', label: t('Open another…') },
      { id: 'useDemo', label: isOther ? t('Try the demo model') : t('Use the demo model') },
    ],
  };
}
