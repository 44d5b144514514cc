import { lines, rowsFile } from '../rows';
import { bytesOf, type OpenTarget } from '../target';

export const rowsOfJsonLines: OpenTarget = async (scene) => ({
  name: 'rows of JSON lines',
  form: 'text',
  share: 8,
  seeds: [bytesOf(lines)],
  words: ['"text"', '"messages":[', '"input_ids":', '"choices":[', '"answer":', '\n'],
  run: await rowsFile(scene, 'rows.jsonl'),
});
