import { rows, rowsFile } from '../rows';
import { jsonOf, type OpenTarget } from '../target';

export const rowsOfJson: OpenTarget = async (scene) => ({
  name: 'rows of JSON',
  form: 'json',
  share: 6,
  seeds: [jsonOf(rows), jsonOf({ data: rows.slice(0, 3) })],
  run: await rowsFile(scene, 'rows.json'),
});
