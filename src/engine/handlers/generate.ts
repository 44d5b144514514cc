import { decode } from '../../passes/decode';
import { refuse } from '../../protocol/fault';
import type { Handler } from '../call';
import { readSet } from '../reading';
import { backendReady } from '../session-backend';
import { conditionsFor } from '../variant';

export const generate: Handler<'generate'> = async (session, params, call) => {
  const opened = await session.models.open(params.model, session.settings.memory, call.signal);
  const { model, tokenizer, endTokens } = opened;
  const conditions = await conditionsFor(session, opened, params, call.signal);
  const { made } = await readSet(opened, params.data, 'generate', params, call.signal);
  if (made.sequences.length === 0)
    refuse('bad-data', 'No row of the data has a prompt to go on from.', 'Give prompts of at least one token, or use --document-start yes.');
  await backendReady(session, opened);
  const continuations = await decode(
    model,
    made.sequences.map(({ ids }) => ids),
    {
      maxNewTokens: params.maxNewTokens,
      endTokens: params.ignoreEos ? new Set() : endTokens,
      progress: (done, total) => call.progress('Generating', done, total, 'rows'),
    },
    conditions,
  );
  return {
    rows: made.sequences.map(({ id }, i) => {
      const tokens = Array.from(continuations[i]);
      const ended = !params.ignoreEos && endTokens.has(tokens[tokens.length - 1]);
      return { id, tokens, text: tokenizer?.decode(ended ? tokens.slice(0, -1) : tokens, { skipSpecial: true }) ?? null };
    }),
  };
};
