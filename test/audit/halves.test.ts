/** The forget facts in two halves: no fact is on both sides, in whatever words. */
import { expect } from 'chai';
import { halvesOf } from '../../src/audit/halves';
import type { TokenSequence } from '../../src/protocol/sequences';

const row = (line: number, fact?: number, topic = 'hazards'): TokenSequence => ({
  id: `${line}`,
  ids: Int32Array.of(1, 2),
  targetMask: Uint8Array.of(0, 1),
  topic,
  source: { file: 'f', line, columns: fact === undefined ? {} : { fact } },
});
const facts = (rows: readonly TokenSequence[]) => new Set(rows.map(({ source }) => source.columns?.fact));

describe('halves of the forget facts', () => {
  // Three wordings of each of ten facts are asked, five are trained on.
  const evaluation = Array.from({ length: 30 }, (_, i) => row(i + 1, i % 10));
  const forget = [...Array.from({ length: 50 }, (_, i) => row(i + 1, i % 10)), row(99, 3, 'medicine')];

  it('are disjoint by fact, together all of them, and the same for the same seed', () => {
    for (const seed of [0, 1, 2, 3]) {
      const cut = halvesOf(evaluation, forget, [], seed);
      expect([cut?.by, cut?.groups, facts(cut?.learnt ?? []).size, facts(cut?.asked ?? []).size]).to.deep.equal(['fact', 10, 5, 5]);
      expect([...facts(cut?.learnt ?? [])].filter((fact) => facts(cut?.asked ?? []).has(fact))).to.deep.equal([]);
      // All wordings of a fact go together; another topic's fact 3 is another fact.
      expect([cut?.learnt.length, cut?.asked.length]).to.deep.equal([25, 15]);
      expect(halvesOf(evaluation, forget, [], seed)).to.deep.equal(cut);
    }
    expect(facts(halvesOf(evaluation, forget, [], 0)?.asked ?? [])).to.not.deep.equal(facts(halvesOf(evaluation, forget, [], 1)?.asked ?? []));
  });

  it('are rows where rows name no fact; then the questions of one half are learnt with their answers', () => {
    const questions = Array.from({ length: 7 }, (_, i) => row(i + 1));
    const asText = questions.map(({ source }) => ({ ...row(source.line), id: 'text' }));
    const cut = halvesOf(questions, [row(50), row(51)], asText, 0);
    expect([cut?.by, cut?.learnt.length, cut?.asked.length]).to.deep.equal(['row', 3, 4]);
    expect(cut?.learnt.every(({ id }) => id === 'text')).to.equal(true);
    const asked = new Set(cut?.asked.map(({ source }) => source.line));
    expect(cut?.learnt.filter(({ source }) => asked.has(source.line))).to.deep.equal([]);
  });

  it('need two facts', () => {
    expect(halvesOf([row(1, 4), row(2, 4)], forget, [], 0)).to.equal(null);
  });
});
