/** Why a checkpoint could not be opened, and what to do instead. */
import type { Fault } from '../../protocol/fault';
import type { ProblemView } from '../../protocol/workbench';

type Opening = Pick<ProblemView, 'title' | 'actions' | 'kind'>;

export function openingProblem({ code }: Fault): Opening {
  const isOther = code === 'unsupported';
  return {
    title: isOther
      ? 'This architecture is not supported'
      : code === 'no-memory'
        ? 'Not enough memory to open this model'
        : 'The checkpoint could not be opened',
    kind: isOther ? 'architecture' : code === 'no-memory' ? 'memory' : 'file',
    actions: [
      { id: 'openCheckpoint', label: 'Open another…' },
      ...(code === 'no-memory' ? [{ id: 'memorySetting' as const, label: 'Open setting' }] : []),
      { id: 'useDemo', label: isOther ? 'Try the demo model' : 'Use the demo model' },
    ],
  };
}
