import path from 'node:path';
import { z } from 'zod';
import type { DataSource } from '../../protocol/engine';
import { refuse } from '../../protocol/fault';
import { type AgentHost, modelOf, tool } from './tool';

const texts = z.array(z.string().min(1)).min(1);
const files = z.array(z.string().min(1)).min(1);

export const input = z.strictObject({
  model: z.string().min(1).optional().describe('Checkpoint folder; the open model when left out.'),
  texts: texts.optional().describe('Prompts that show the knowledge, one string each.'),
  files: files.optional().describe('Data files with prompts: .jsonl, .json, .csv, .parquet, .txt or .md.'),
  against: files.optional().describe('Data files of a second set to compare with, such as what to keep.'),
  documentStart: z.enum(['auto', 'yes', 'no']).optional().describe('Token before each text; auto is what the tokenizer itself does.'),
  limit: z.int().min(1).max(1000).optional().describe('Experts to list; 10 when left out.'),
});

function sources({ texts: given, files: named }: z.infer<typeof input>, { workspace }: AgentHost): DataSource[] {
  const written = (given ?? []).map((text) => JSON.stringify({ text })).join('\n');
  return [
    ...(named ?? []).map((file): DataSource => ({ kind: 'file', path: path.resolve(workspace, file) })),
    ...(written === '' ? [] : [{ kind: 'text' as const, text: written, origin: 'texts.jsonl', line: 1 }]),
  ];
}

/** Experts for these prompts. */
export const attribute = tool({
  name: 'attribute',
  title: 'Experts for these prompts',
  description:
    'Finds which experts of a Mixture-of-Experts language model the router chooses for some prompts (affinity, UOE Eq. 2), best first. The first is the target that unlearning would edit. Reads only.',
  input,
  readOnly: true,
  async run(given, host) {
    const prompts = sources(given, host);
    if (prompts.length === 0) refuse('usage', 'There are no prompts.', 'Give "texts" or "files".');
    const model = path.resolve(host.workspace, modelOf(host, given.model));
    const against = given.against?.map((file): DataSource => ({ kind: 'file', path: path.resolve(host.workspace, file) }));
    const { record, seconds } = await host.request('attribute', { model, prompts, against, documentStart: given.documentStart });
    const { ranking, target, stability, sequences, tokens, topK, family } = record;
    const first = record.layers[0]?.experts.length ?? 0;
    return {
      model,
      family,
      prompts: sequences,
      tokens,
      target: { layer: target.layer, expert: target.expert, affinity: target.affinity, share: target.share },
      expertsPerLayer: first,
      expertsPerToken: topK,
      ranking: ranking.slice(0, given.limit ?? 10),
      stability,
      seconds,
    };
  },
});
