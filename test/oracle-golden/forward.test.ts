/** The oracle's forward pass equals the reference: the families and their variants. */
import { expect } from 'chai';
import { type Checkpoint, loadCheckpoint } from '../oracle/checkpoint';
import { type Golden, goldenFolders, loadGolden, type SetName } from '../oracle/golden';
import { forward, type Pass, selectionGap } from '../oracle/model';

/** The reference is float32; these are its README's tolerances. */
const tolerances: Record<string, number> = { logits: 1e-4, nll: 1e-4, hidden: 2e-4, u: 1e-4, router_logits: 1e-4, probs: 1e-5, gates: 1e-5, moe_out: 2e-4 };

/** The oracle's array of a golden key: `{set}.{j}.logits`, `{set}.{j}.hidden.{l}`, `{set}.{j}.layer.{l}.{what}`. */
function arrayOf(passes: Record<SetName, Pass[]>, key: string): { what: string; values: number[] } | null {
  const match = /^(forget|retain)\.(\d+)\.(?:(logits|nll)|(hidden)\.(\d+)|layer\.(\d+)\.(\w+))$/.exec(key);
  if (!match) return null;
  const [, set, j, whole, hidden, depth, layer, part] = match;
  const pass = passes[set as SetName][Number(j)];
  const flat = (rows: readonly ArrayLike<number>[]): number[] => rows.flatMap((row) => Array.from(row));
  if (whole) return { what: whole, values: whole === 'nll' ? [...pass.nll] : flat(pass.logits) };
  if (hidden) return { what: hidden, values: flat(pass.hidden[Number(depth)]) };
  return { what: part, values: flat(pass.layers.get(Number(layer))![part as 'u']) };
}

for (const { name, folder, complete } of goldenFolders()) {
  describe(`Oracle forward: ${name}`, () => {
    let golden: Golden;
    let checkpoint: Checkpoint;
    let passes: Record<SetName, Pass[]>;
    before(() => {
      golden = loadGolden(folder);
      checkpoint = loadCheckpoint(folder);
      const run = (set: SetName) => golden.sequences[set].map(({ ids }) => forward(checkpoint, ids));
      passes = { forget: run('forget'), retain: run('retain') };
    });

    it('equals every array of the reference, choices exactly', () => {
      const compared = new Set<string>();
      for (const [key, expected] of golden.arrays) {
        const actual = arrayOf(passes, key);
        if (!actual) continue;
        compared.add(actual.what);
        expect(actual.values.length, key).to.equal(expected.values.length);
        if (actual.what === 'topk_index') {
          expect(actual.values, key).to.deep.equal([...expected.values]);
          continue;
        }
        const limit = tolerances[actual.what] * (actual.what === 'gates' ? Math.max(1, checkpoint.config.routed_scaling_factor) : 1);
        const worst = actual.values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected.values[i])), 0);
        expect(worst, key).to.be.at.most(limit);
      }
      const needed = complete ? [...Object.keys(tolerances), 'topk_index'] : ['logits'];
      for (const what of needed) expect(compared.has(what), `${what} was compared`).to.equal(true);
    });

    it('has the mixture layers, expert count and top-K of the reference', () => {
      const { scalars } = golden;
      expect([...passes.forget[0].layers.keys()]).to.deep.equal(scalars.moe_layers);
      expect([checkpoint.config.num_experts, checkpoint.config.num_experts_per_tok]).to.deep.equal([scalars.num_experts, scalars.top_k]);
    });

    it('finds the same closest routing decision', () => {
      expect(selectionGap([...passes.forget, ...passes.retain])).to.be.closeTo(golden.scalars.min_selection_gap, 2e-5);
    });
  });
}
