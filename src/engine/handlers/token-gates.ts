import { pack } from '../../passes/packing';
import { lastRouting, sweepAll, type Taps } from '../../passes/sweep';
import { refuse } from '../../protocol/fault';
import type { Handler } from '../call';
import { readSet } from '../reading';
import { backendReady } from '../session-backend';
import { conditionsFor } from '../variant';

export const tokenGates: Handler<'tokenGates'> = async (session, params, call) => {
  const { model: folder, source, id } = params;
  const opened = await session.models.open(folder, session.settings.memory, call.signal);
  const { model, tokenizer } = opened;
  const conditions = await conditionsFor(session, opened, params, call.signal);
  const { made } = await readSet(opened, [source], 'train', params, call.signal);
  const sequence = made.sequences.find((one) => one.id === id) ?? refuse('not-found', `The prompts have no row "${id}".`, 'Read them again.');
  await backendReady(session, opened);
  const { moeLayers, topK, experts: width } = model.shape;
  const length = sequence.ids.length;
  const experts = new Int32Array(moeLayers.length * length * topK);
  const gates = new Float32Array(experts.length);
  const scores = new Float32Array(experts.length);
  const seen: Taps = {
    routing(routing) {
      const at = moeLayers.indexOf(routing.layer) * length * topK;
      experts.set(routing.choice, at);
      gates.set(routing.gates, at);
      for (let slot = 0; slot < length * topK; slot++) scores[at + slot] = routing.scores[Math.floor(slot / topK) * width + routing.choice[slot]];
    },
  };
  await sweepAll(model, pack([sequence]), conditions, seen, lastRouting(model));
  return { tokens: Array.from(sequence.ids, (token) => tokenizer?.tokenText(token) ?? String(token)), layers: moeLayers, experts, gates, scores };
};
