import { unwrap } from '../../protocol/fault';
import { type PreviewSet, previewOf } from '../../text/preview';
import type { Handler } from '../call';
import { readSet } from '../reading';

export const preview: Handler<'preview'> = async ({ models, settings }, { model, forget, retain, others = [], ...how }, { signal }) => {
  const opened = await models.open(model, settings.memory);
  const sets: PreviewSet[] = [];
  for (const [name, sources] of [
    ['forget', forget],
    ['retain', retain],
  ] as const) {
    if (sources !== undefined && sources.length > 0) sets.push({ name, ...(await readSet(opened, sources, 'train', how, signal)) });
  }
  for (const { name, data } of others) sets.push({ name, ...(await readSet(opened, data, 'evaluate', how, signal)) });
  return unwrap(await previewOf(sets, opened.tokenizer, signal));
};
