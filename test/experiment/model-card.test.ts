import { expect } from 'chai';
import { modelCard } from '../../src/experiment/model-card';
import { runFolder } from './run-fixture';

const base = `sha256:${'a'.repeat(64)}`;
const changed = ['model.layers.2.mlp.gate.weight'];
const cardOf = (card: string | null, run = runFolder()) => modelCard({ run, base, changed, card });

describe('model card', () => {
  it('says what was edited from what, how it scores, what the audits found, and what nobody measured', () => {
    const card = cardOf(null);
    expect(card).to.match(/^---\nbase_model: "demo-moe"\ntags:\n- mixture-of-experts\n- machine-unlearning\n---\n\n# demo/);
    expect(card).to.contain(base);
    expect(card).to.contain('model.layers.2.mlp.gate.weight'.replaceAll('_', '\\_'));
    expect(card).to.match(/\| Forget: forget.jsonl \| accuracy \| *0\.980 \| *0\.280 \| *−0\.700/);
    expect(card).to.match(/## Audits\n\n- Expert forbidden: Hidden: it returns/);
    expect(card).to.contain('## Not measured');
    expect(card).not.to.contain('## Card of the base');
  });

  it('holds no path of the machine', () => {
    const card = cardOf(null);
    expect(card).to.contain('"retain": "retain.jsonl"');
    expect(card).not.to.match(/\/(models|data)\//);
  });

  it('names what was not measured', () => {
    expect(cardOf(null)).not.to.contain('Side effects on neighbouring knowledge.');
    const bare = cardOf(null, runFolder({ evaluation: null }));
    for (const words of [
      'no set of what to forget',
      'Side effects on neighbouring knowledge',
      'no set of what the model should keep',
      'Audit “Expert forbidden”',
    ])
      expect(bare).to.contain(words);
  });

  it('keeps the base’s metadata and card word for word', () => {
    const own = '# Base\r\n\r\nIt does *things*.\n\n---\nlicense: not here\n';
    const card = cardOf(`---\nlicense: apache-2.0\nbase_model: org/first\ntags:\n- moe\n---\n${own}`);
    expect(card.startsWith('---\nlicense: apache-2.0\nbase_model: org/first\ntags:\n- moe\n---\n\n# demo')).to.equal(true);
    expect(card).to.contain(`## Card of the base checkpoint\n\nWord for word; it describes the model before the edit.\n\n${own.trim()}\n`);
    expect(card.match(/base_model/g)).to.have.length(1);
    expect(cardOf('no metadata')).to.match(/^---\nbase_model: "demo-moe"\n/);
  });
});
