import { parseJson } from '../../../../src/files/read';
import { webviewMessage } from '../../../../src/protocol/webview-message';
import { jsonOf, type OpenTarget, textOf } from '../target';

export const pageMessages: OpenTarget = () => ({
  name: 'messages of the page',
  form: 'json',
  share: 5,
  seeds: [
    { type: 'settings', patch: { target: 'one', lr: 1e-4, steps: 10, batchSize: 'all', forgetAtMost: null } },
    { type: 'tick', prompts: [0, 1, 2], ticked: true },
    { type: 'saveFigure', name: 'heat map', form: 'svg', content: '<svg/>' },
    { type: 'compare', before: null, after: 'run' },
    { type: 'cancel', id: 3 },
  ].map(jsonOf),
  run: async (input) => {
    const raw = parseJson(textOf(input), 'message');
    if (!raw.ok) return raw.fault;
    const parsed = webviewMessage.safeParse(raw.value);
    if (parsed.success && JSON.stringify(parsed.data).includes('polluted')) throw new Error('A message brought a field that it has not.');
    return null;
  },
});
