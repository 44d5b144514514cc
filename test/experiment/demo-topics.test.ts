import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { type DemoFacts, makeTopicSplits, retainWithNear, type TopicQuestion, toJsonLines, topicRoles } from '../../src/experiment/demo-topics';
import { FaultError } from '../../src/protocol/fault';

const data = path.resolve('demo', 'data');
const facts: DemoFacts = JSON.parse(fs.readFileSync(path.join(data, 'facts.json'), 'utf8'));
const committed = (file: string): string => fs.readFileSync(path.join(data, file), 'utf8');
const topics = ['hazards', 'medicine', 'elements', 'geography', 'computing', 'people', 'animals'];
const factsOf = (rows: readonly { readonly fact: number }[]): Set<number> => new Set(rows.map((row) => row.fact));

describe('demo topics', () => {
  it('makes the committed files again, byte for byte', () => {
    const splits = makeTopicSplits(facts, 'hazards', 1);
    expect(toJsonLines(splits.forget)).to.equal(committed('forget.jsonl'));
    expect(toJsonLines(splits.retain)).to.equal(committed('retain.jsonl'));
    expect(toJsonLines(retainWithNear(facts, 'hazards', 1))).to.equal(committed('retain-near.jsonl'));
    expect(toJsonLines(splits.evaluate.forget)).to.equal(committed('eval/forget.jsonl'));
    expect(toJsonLines(splits.evaluate.near)).to.equal(committed('eval/near.jsonl'));
    expect(toJsonLines(splits.evaluate.retain)).to.equal(committed('eval/retain.jsonl'));
  });

  it('makes the training texts of the checkpoint, the same for every topic', () => {
    const hashes = topics.map((topic) =>
      createHash('sha256')
        .update(toJsonLines(makeTopicSplits(facts, topic, 1).train))
        .digest('hex'),
    );
    expect(new Set(hashes)).to.deep.equal(new Set(['09e82c95e6e97540305d4918404430ff74137e74e134f36497091f582725f075']));
  });

  it('draws the committed stop questions from the same seen wordings', () => {
    // demo/data/stop was sampled by another program, so only its wordings and answers can be compared, not the draw.
    const relations = facts.relations;
    for (const file of ['stop/forget.jsonl', 'stop/near.jsonl', 'stop/retain.jsonl']) {
      for (const line of committed(file).trim().split('\n')) {
        const { relation, wording, prompt, options, answer } = JSON.parse(line) as TopicQuestion;
        expect(wording).to.match(/^(s[04567]|q0)$/);
        const number = Number(wording.slice(1));
        const pattern = wording.startsWith('s')
          ? relations[relation].statements[number].split('{o}')[0]
          : `Question: ${relations[relation].questions[number]} Answer:`;
        const right = options[answer].trim();
        const subjects = relations[relation].facts.filter(([, object]) => object === right).map(([subject]) => subject);
        const prompts = subjects.map((subject) => pattern.replaceAll('{s}', subject).trimEnd().toLowerCase());
        expect(prompts).to.include(prompt.toLowerCase());
      }
    }
  });

  it('takes medicine as the neighbour, hazards as the neighbour of medicine', () => {
    expect(topicRoles(facts, 'geography')).to.include({ geography: 'forget', medicine: 'near', hazards: 'retain', people: 'retain' });
    expect(topicRoles(facts, 'medicine')).to.include({ medicine: 'forget', hazards: 'near', geography: 'retain' });
    expect(topicRoles(facts, 'hazards')).to.deep.equal(
      Object.fromEntries(topics.map((topic) => [topic, topic === 'hazards' ? 'forget' : topic === 'medicine' ? 'near' : 'retain'])),
    );
  });

  for (const topic of topics) {
    it(`splits the corpus with ${topic} to be forgotten`, () => {
      const splits = makeTopicSplits(facts, topic, 1);
      const roles = topicRoles(facts, topic);
      const pairs = Object.values(facts.relations);
      const count = (wanted: string): number => pairs.filter((relation) => relation.topic === wanted).reduce((sum, relation) => sum + relation.facts.length, 0);
      const near = topic === 'medicine' ? 'hazards' : 'medicine';
      const half = pairs.filter((relation) => roles[relation.topic] === 'retain').reduce((sum, relation) => sum + Math.floor(relation.facts.length / 2), 0);

      // six rows a fact: four statements, two questions
      expect(splits.forget).to.have.length(6 * count(topic));
      expect(new Set(splits.forget.map((row) => row.topic))).to.deep.equal(new Set([topic]));
      expect(splits.retain).to.have.length(6 * half);
      expect(new Set(splits.retain.map((row) => row.topic))).to.deep.equal(new Set(topics.filter((name) => roles[name] === 'retain')));
      expect([...factsOf(splits.retain)].filter((fact) => factsOf(splits.forget).has(fact))).to.deep.equal([]);

      expect(splits.evaluate.forget).to.have.length(count(topic));
      expect(splits.evaluate.near).to.have.length(count(near));
      expect(splits.evaluate.retain).to.have.length(500);
      for (const name of topics.filter((id) => roles[id] === 'retain')) {
        expect(splits.evaluate.retain.filter((question) => question.topic === name)).to.have.length(100);
      }
      expect([splits.stop.forget.length, splits.stop.near.length, splits.stop.retain.length]).to.deep.equal([140, 90, 250]);

      for (const role of ['forget', 'near', 'retain'] as const) {
        for (const question of [...splits.evaluate[role], ...splits.stop[role]]) {
          expect(roles[question.topic]).to.equal(role);
          expect(new Set(question.options)).to.have.property('size', 4);
          expect(question.inRetain).to.equal(factsOf(splits.retain).has(question.fact));
        }
        expect(splits.evaluate[role].every((question) => /^(s[89]|q3)$/.test(question.wording))).to.equal(true);
        expect(splits.stop[role].every((question) => /^s[4-7]$/.test(question.wording))).to.equal(true);
        expect(factsOf(splits.stop[role])).to.have.property('size', splits.stop[role].length);
      }
    });
  }

  it('is a pure function of facts, topic and seed', () => {
    const text = (seed: number): string => JSON.stringify(makeTopicSplits(facts, 'people', seed));
    expect(text(1)).to.equal(text(1));
    expect(text(2)).not.to.equal(text(1));
  });

  it('refuses a topic the corpus does not have and names those it has', () => {
    const attempt = (): unknown => makeTopicSplits(facts, 'history', 1);
    expect(attempt).to.throw(FaultError, 'no topic "history". Choose one of hazards, medicine, elements, geography, computing, people, animals.');
  });
});
