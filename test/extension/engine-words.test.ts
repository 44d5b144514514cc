import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { audits } from '../../src/audit/audits';
import { stopReason } from '../../src/experiment/checks';
import { comparisonView } from '../../src/experiment/comparison-view';
import { comparisonInWords, faultInWords, inWords, planWarnings } from '../../src/extension/workbench/engine-words';
import { translateWith } from '../../src/extension/workbench/text';
import { fullDisk } from '../../src/files/disk-fault';
import type { AuditRecord } from '../../src/protocol/audits';
import { fill } from '../../src/protocol/fill';
import { presets } from '../../src/protocol/recipe-presets';
import type { CheckRecord } from '../../src/protocol/records';
import { methodDescriptors } from '../../src/unlearn/methods';
import { evaluationRecord, runFolder, runRecord } from '../experiment/run-fixture';
import { temporaryFolder } from '../files/temporary-folder';
import { sessionEngine } from './session-engine';

const german: Readonly<Record<string, string>> = JSON.parse(fs.readFileSync('l10n/bundle.l10n.de.json', 'utf8'));
const source = fs.readFileSync('src/extension/workbench/engine-words.ts', 'utf8');
/** All templates, as they stand in the source. */
const templates = [...source.matchAll(/(?:said|piece)\(\s*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")/g)].map(([, quoted]) =>
  quoted.slice(1, -1).replaceAll("\\'", "'"),
);

/** Every audit measured, with the figures of the forbidden expert; relearning says what it taught. */
function everyAuditOf({ evaluation }: ReturnType<typeof runFolder>): AuditRecord {
  const sets = (evaluation?.sets ?? []).flatMap(({ role, before, after, forbiddenBefore = before, forbiddenAfter = after }) =>
    role === 'utility' ? [] : [{ role, before, after, underBefore: forbiddenBefore, underAfter: forbiddenAfter }],
  );
  const scores = { original: 0.9, edited: 0.8 };
  const settings = { taught: { before: scores, after: scores } };
  return { run: 'r', audits: Object.fromEntries(audits.map(({ descriptor }) => [descriptor.id, { settings, sets, seconds: 1 }])) };
}

describe('what the engine says, in a German window', () => {
  before(() => translateWith((text, ...values) => fill(german[text] ?? text, values)));
  after(() => translateWith((text, ...values) => fill(text, values)));

  it('finds every template again by its text, and no other', () => {
    expect(templates.length).to.be.greaterThan(100);
    for (const text of templates) {
      const values = ['11', '22', '33', '44', '55', '66'];
      expect(inWords(fill(text, values)), text).to.equal(fill(german[text], values));
    }
  });

  it('knows every sentence of a plan', async () => {
    const engine = sessionEngine();
    const data = (name: string) => path.resolve('demo/data', name);
    const model = path.resolve('demo/checkpoint');
    const questions = { evaluate: { forget: data('eval/forget.jsonl'), near: data('eval/near.jsonl'), utility: [data('eval/retain.jsonl')] } };
    const text = { evaluate: { forget: data('forget.jsonl') } };
    const checks = { checks: { forget: data('stop/forget.jsonl'), utility: [data('stop/retain.jsonl')] } };
    for (const rest of [{}, { retain: data('retain.jsonl'), ...questions, ...checks, steps: 3, maxLength: 8 }, { ...text, target: { layer: 1, expert: 2 } }]) {
      const answer = await engine.request('planRun', { recipe: { model, forget: data('forget.jsonl'), ...rest }, folder: '.' });
      if (!answer.ok) throw new Error(answer.fault.message);
      const { measured, notMeasured, warnings } = answer.value;
      for (const sentence of [...measured, ...notMeasured, ...warnings]) expect(inWords(sentence), sentence).to.not.equal(sentence);
    }
    engine.dispose();
  });

  it('knows every method and preset of the catalogue', () => {
    const helps = [...methodDescriptors, ...presets].map(({ help }) => help);
    expect(helps.filter((help) => inWords(help) === help)).to.deep.equal([]);
  });

  it('knows every sentence of a comparison, of two runs too', () => {
    const other = runFolder({ record: runRecord({ id: 'b', number: 2 }) });
    for (const view of [
      comparisonView(runFolder(), false),
      comparisonView(runFolder(), false, other),
      comparisonView(runFolder({ evaluation: null }), false),
      comparisonView(runFolder({ audits: everyAuditOf(runFolder()) }), false),
    ]) {
      const words = comparisonInWords(view);
      const said = (one: typeof view) => [
        one.headline,
        ...one.sentences,
        ...one.cards.map(({ verdict }) => verdict.text),
        ...one.routing.map(([name]) => name),
        ...one.metrics.flatMap(({ label, help, needs }) => [label, help, ...needs.filter((need) => need !== 'routing')]),
        ...(one.routingVerdict ? [one.routingVerdict.text] : []),
        ...(one.worst ? [one.worst.text] : []),
        ...one.audits.flatMap(({ title, asks, outcome }) => [
          title,
          asks,
          ...(outcome ? [outcome.text, outcome.verdict.text, ...outcome.names, ...outcome.facts.map(([name]) => name)] : []),
        ]),
      ];
      const [english, translated] = [said(view), said(words)];
      expect(english.filter((text, i) => text === translated[i])).to.deep.equal([]);
    }
    expect(inWords(comparisonView(runFolder({ evaluation: evaluationRecord() }), false).headline)).to.match(/Änderung|Wert/);
  });

  it('knows why a run ended, several sentences one by one', () => {
    const check = (step: number, forget: number): CheckRecord => ({ step, forget, utility: null }) as CheckRecord;
    const stop = { forgetAtMost: 0.3, utilityDropAtMost: null, nllRiseAtMost: null, patience: 1 };
    const reason = stopReason([check(0, 1), check(10, 0.2)], stop as never);
    expect(inWords(reason ?? '')).to.equal('Ziel erreicht bei Schritt 10: Der Wert beim Vergessen 0.200 ist höchstens 0.3.');
    expect(inWords('Stopped by you at step 4. No check was within the utility limit; the weights of step 4 are kept.')).to.equal(
      'Von Ihnen beendet bei Schritt 4. Keine Kontrolle lag innerhalb der Grenze für den Nutzen; die Gewichte von Schritt 4 werden behalten.',
    );
  });

  it('knows what usually goes wrong, the remedy too', async () => {
    const engine = sessionEngine();
    const broken = path.join(temporaryFolder(), 'broken');
    fs.mkdirSync(broken);
    fs.writeFileSync(path.join(broken, 'config.json'), '{"model_type": "llama"}');
    const faults = [
      await engine.request('openModel', { path: path.join(broken, 'absent') }),
      await engine.request('openModel', { path: broken }),
      await engine.request('planRun', { recipe: { model: broken, forget: 'x', stepz: 3 } as never, folder: '.' }),
      await engine.request('planRun', { recipe: { model: path.resolve('demo/checkpoint'), forget: path.join(broken, 'absent.jsonl') }, folder: '.' }),
    ];
    for (const answer of faults) {
      if (answer.ok) throw new Error('it was taken');
      const { message, remedy } = answer.fault;
      for (const sentence of [message, ...(remedy === undefined ? [] : [remedy])]) expect(inWords(sentence), sentence).to.not.equal(sentence);
    }
    engine.dispose();
    expect(faultInWords(fullDisk('/data/x', 2e9, 1e9))).to.equal(
      '/data/x kann nicht geschrieben werden: Der Datenträger ist voll (2 GB nötig, 1 GB frei). Schaffen Sie Platz oder nehmen Sie einen anderen Datenträger. Nichts wurde geändert.',
    );
  });

  it('leaves what it does not know as it is, and out of a plan what the page says itself', () => {
    expect(inWords('/data/x.jsonl line 3: the field "text" is missing. Add it.')).to.equal('/data/x.jsonl line 3: the field "text" is missing. Add it.');
    const over = 'The run needs about 9 GB of memory, more than its budget of 8 GB: shorten the rows, give fewer, or raise "memory".';
    expect(planWarnings([over, '12 steps of 16 rows train on 192 of 1758 forget rows.'])).to.deep.equal([
      '12 Schritte mit 16 Zeilen trainieren auf 192 von 1758 Zeilen zum Vergessen.',
    ]);
  });
});
