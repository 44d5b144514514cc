import { changeInShort, runSeconds, targetName } from '../../experiment/comparison';
import { textTable } from '../../experiment/table';
import { duration } from '../../protocol/numbers';
import type { RunRecord } from '../../protocol/records';
import { methodName } from '../../protocol/run-table';
import { trainName } from '../../protocol/train-choice';
import { verb } from '../verb';

const columns = ['Run', 'Id', 'Method', 'Target', 'Steps', 'Time', 'Status', 'Change'].map((title, i) => ({
  title,
  align: i === 0 || i === 4 || i === 5 ? ('right' as const) : ('left' as const),
}));

const cells = (record: RunRecord) =>
  [
    String(record.number),
    record.id,
    methodName(record.method),
    targetName(record.target.experts, trainName(record.target.train)),
    `${record.steps}/${record.plannedSteps}`,
    duration(runSeconds(record)),
    record.status,
    changeInShort(record),
  ].map((text) => ({ text }));

export const runs = verb<[], object>({
  name: 'runs',
  summary: 'List the runs of the workspace',
  options: [],
  example: 'uoe runs --workspace experiments',
  async run({ request, workspace }) {
    const { runs: list, broken, cut = [] } = await request('runs', { workspace });
    const table = list.length === 0 ? `No runs in ${workspace}.` : textTable(columns, list.map(cells));
    return { json: { runs: list, broken, cut }, text: [table, ...broken.map(({ folder, why }) => `${folder}: ${why}`), ...cut].join('\n') };
  },
});
