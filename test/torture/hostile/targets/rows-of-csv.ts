import { rowsFile } from '../rows';
import { bytesOf, type OpenTarget } from '../target';

const table = 'question,choices,answer,input_ids\n"Which, if any?","[\'a\', ""b""]",1,\nthe,"[\'a\' \'b\'\n \'c\']",0,"[1, 2, 3]"\n';

export const rowsOfCsv: OpenTarget = async (scene) => ({
  name: 'rows of CSV',
  form: 'text',
  share: 6,
  seeds: [bytesOf(table), bytesOf('text,id\n"a ""b""\nc",1\n')],
  words: [',', '"', '\n', '\r\n', '[', "['a', 'b']", 'array(', 'nan', 'constructor', "'\\x41'"],
  run: await rowsFile(scene, 'rows.csv'),
});
