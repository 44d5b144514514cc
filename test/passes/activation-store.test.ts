/** The activation store on a real disk: what comes from it is, to the bit, what a pass makes; damage is seen; the bound holds. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { routingSummary } from '../../src/attribution/affinity';
import { type ActivationStore, openActivationStore } from '../../src/passes/activation-store';
import { asStored, type OpenModel } from '../../src/passes/model';
import { inBlocks, type OriginalPass, originalPass } from '../../src/passes/original-pass';
import type { TokenSequence } from '../../src/protocol/sequences';
import { fast } from '../backends';
import { families } from '../oracle/config';
import { asSequence, type TinyCase, withTiny } from './tiny-case';

const folderFor = () => fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-activations-'));

const sequencesOf = (given: TinyCase): TokenSequence[] => [...given.forget, ...given.retain].map((own, i) => asSequence(own, String(i)));

const openFor = ({ shape }: OpenModel, root: string, key = 'model', limit = 2 ** 30): Promise<ActivationStore> =>
  openActivationStore({ root, key, hiddenSize: shape.hiddenSize, topK: shape.topK, limit });

interface Wanted {
  readonly keep?: readonly number[];
  readonly last?: boolean;
  readonly blockTokens?: number;
  readonly summary?: boolean;
}

/** A pass over the sequences (the first two as forget rows), and how many layers it ran. */
async function passOver(model: OpenModel, sequences: readonly TokenSequence[], store: ActivationStore | null, wanted: Wanted = {}) {
  const { moeLayers, experts, topK } = model.shape;
  let ran = 0;
  const pass = await originalPass(
    model,
    { forget: sequences.slice(0, 2), retain: sequences.slice(2) },
    { forget: [0, 1].slice(0, sequences.length), retain: sequences.slice(2).map((_, i) => i) },
    asStored,
    {
      keep: new Set(wanted.keep ?? moeLayers),
      last: new Set(wanted.last ? ['forget', 'retain'] : []),
      summary: wanted.summary === false ? undefined : routingSummary(moeLayers, experts, topK),
      progress: () => void ran++,
      activations: { store, blockTokens: wanted.blockTokens ?? Number.POSITIVE_INFINITY },
    },
  );
  return { pass, ran: () => ran };
}

async function valuesOf(model: OpenModel, pass: OriginalPass, keep: readonly number[] = model.shape.moeLayers) {
  const entrances = [];
  for (const layer of keep) entrances.push([layer, Array.from(new Int32Array((await pass.entrance(layer)).slice().buffer))]);
  return {
    entrances,
    choices: [...(await pass.choices(0))].map(([layer, values]) => [layer, Array.from(values)]),
    last: pass.last && Array.from(new Int32Array(pass.last.slice().buffer)),
    summaries: Array.from(pass.summaries),
  };
}

describe('activation store', () => {
  for (const family of families) {
    it(`${family}: what it gives is, to the bit, what a pass makes, in blocks or at once; no pass is made twice`, () =>
      withTiny(family, 7, fast, async (given) => {
        const sequences = sequencesOf(given);
        const expected = await valuesOf(given.model, (await passOver(given.model, sequences, null, { last: true })).pass);
        const longest = Math.max(...sequences.map(({ ids }) => ids.length));
        expect(inBlocks(sequences, longest).length, 'blocks').to.be.above(1);
        const inParts = await passOver(given.model, sequences, null, { last: true, blockTokens: longest });
        expect(await valuesOf(given.model, inParts.pass), 'in memory, in blocks').to.deep.equal(expected);

        const root = folderFor();
        for (const blockTokens of [Number.POSITIVE_INFINITY, longest]) {
          const key = String(blockTokens);
          const store = await openFor(given.model, root, key);
          const first = await passOver(given.model, sequences, store, { last: true, blockTokens });
          expect(await valuesOf(given.model, first.pass), `written, ${blockTokens} tokens a block`).to.deep.equal(expected);
          expect(first.ran()).to.be.above(0);
          await store.close();
          const again = await openFor(given.model, root, key);
          const second = await passOver(given.model, sequences, again, { last: true, blockTokens });
          expect(second.ran(), 'layers run when all is there').to.equal(0);
          expect(await valuesOf(given.model, second.pass), 'read again').to.deep.equal(expected);
          await again.close();
        }
        fs.rmSync(root, { recursive: true });
      })).timeout(120_000);
  }

  it('runs only the sequences it lacks, and only for what is asked of them', () =>
    withTiny('olmoe', 7, fast, async (given) => {
      const sequences = sequencesOf(given);
      const root = folderFor();
      const store = await openFor(given.model, root);
      const [low] = given.model.shape.moeLayers;
      await passOver(given.model, sequences.slice(0, 3), store, { keep: [low] });
      const needed = { layers: [low], routed: [], summary: 0 };
      expect(store.missing(sequences, needed).map(({ id }) => id)).to.deep.equal(sequences.slice(3).map(({ id }) => id));
      expect(store.missing(sequences.slice(0, 3), { ...needed, layers: [low, low + 1] }), 'another layer').to.have.length(3);
      const other = { ...sequences[0], ids: sequences[0].ids.toReversed() };
      expect(store.missing([other, other], needed), 'the same tokens in another order, once').to.deep.equal([other]);
      expect((await passOver(given.model, sequences.slice(1, 3), store, { keep: [low] })).ran()).to.equal(0);
      await store.close();
      expect((await openFor(given.model, root, 'another model')).missing(sequences, needed)).to.have.length(sequences.length);
      fs.rmSync(root, { recursive: true });
    }));

  for (const [what, damage] of [
    ['a changed byte', (file: string) => change(file)],
    ['a file cut short', (file: string) => fs.truncateSync(file, fs.statSync(file).size >> 1)],
    ['a missing file', (file: string) => fs.rmSync(file)],
  ] as const) {
    it(`${what} is seen, and what it spoilt is made again`, () =>
      withTiny('mixtral', 7, fast, async (given) => {
        const sequences = sequencesOf(given);
        const expected = await valuesOf(given.model, (await passOver(given.model, sequences, null, { keep: [0] })).pass, [0]);
        const root = folderFor();
        const store = await openFor(given.model, root);
        await passOver(given.model, sequences, store, { keep: [0] });
        await store.close();
        const [file] = (fs.readdirSync(root, { recursive: true }) as string[]).filter((name) => name.endsWith('.safetensors'));
        damage(path.join(root, file));
        const again = await openFor(given.model, root);
        const { pass, ran } = await passOver(given.model, sequences, again, { keep: [0] });
        expect(await valuesOf(given.model, pass, [0])).to.deep.equal(expected);
        expect(ran()).to.be.above(0);
        expect(fs.existsSync(path.join(root, file)), 'the damaged block').to.equal(false);
        await again.close();
        fs.rmSync(root, { recursive: true });
      }));
  }

  it('stays within its bound: the block used longest ago goes, what is in use stays, what is too large is not kept', () =>
    withTiny('mixtral', 7, fast, async (given) => {
      const sequences = sequencesOf(given);
      const root = folderFor();
      const block = await openFor(given.model, root);
      await passOver(given.model, [sequences[0]], block);
      await block.close();
      const one = await block.bytes();
      expect(one).to.be.above(0);
      const age = (seconds: number) => {
        for (const name of fs.readdirSync(root, { recursive: true }) as string[])
          if (name.endsWith('.json')) fs.utimesSync(path.join(root, name), Date.now() / 1000 - seconds, Date.now() / 1000 - seconds);
      };
      age(100);
      const tight = await openFor(given.model, root, 'another model', Math.floor(one * 1.5));
      await passOver(given.model, [sequences[0]], tight);
      expect(await tight.bytes()).to.be.at.most(one * 1.5);
      expect((await openFor(given.model, root)).missing([sequences[0]], { layers: [0], routed: [], summary: 0 }), 'the oldest').to.have.length(1);
      await tight.close();
      const small = await openFor(given.model, folderFor(), 'model', one - 1);
      expect((await passOver(given.model, [sequences[0]], small)).ran()).to.be.above(0);
      expect(await small.bytes()).to.equal(0);
      fs.rmSync(root, { recursive: true });
    }));
});

/** In the first tensor, the entrance of layer 0. */
function change(file: string): void {
  const bytes = fs.readFileSync(file);
  bytes[8 + Number(bytes.readBigUInt64LE(0)) + 3] ^= 1;
  fs.writeFileSync(file, bytes);
}
