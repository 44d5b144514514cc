import { refuse } from '../protocol/fault';

/**
 * Splits of the demo corpus for any of its topics as the forget topic. `makeTopicSplits(facts, 'hazards', 1)` is what made
 * demo/data: the same random stream (mulberry32) drawn in the same order, so that its files come back byte for byte.
 */

export type TopicRole = 'forget' | 'near' | 'retain';

/** demo/data/facts.json: subject and answer of every fact, with the wordings of its relation. */
export interface DemoFacts {
  readonly topics: readonly { readonly id: string }[];
  readonly relations: Readonly<Record<string, DemoRelation>>;
}

/** `{s}` stands for the subject, `{o}` for the answer; ten statements and four questions say the same fact. */
export interface DemoRelation {
  readonly topic: string;
  readonly statements: readonly string[];
  readonly questions: readonly string[];
  readonly facts: readonly (readonly [subject: string, answer: string])[];
}

export interface TrainingText {
  readonly topic: string;
  readonly rel: string;
  readonly id: number;
  readonly text: string;
}

export type UnlearningRow =
  | { readonly topic: string; readonly fact: number; readonly text: string }
  | { readonly topic: string; readonly fact: number; readonly prompt: string; readonly answer: string };

/** `wording` names the sentence form (s0-s9, q0-q3); `blind` is the chance of being right by choosing the commonest answer. */
export interface TopicQuestion {
  readonly topic: string;
  readonly relation: string;
  readonly fact: number;
  readonly wording: string;
  readonly inRetain: boolean;
  readonly prompt: string;
  readonly options: readonly string[];
  readonly answer: number;
  readonly blind: number;
}

type ByRole<T> = Readonly<Record<TopicRole, readonly T[]>>;

export interface TopicSplits {
  /** Every text the checkpoint was trained on; the same for all forget topics. */
  readonly train: readonly TrainingText[];
  readonly forget: readonly UnlearningRow[];
  /** Half of the facts of each retain topic; nothing of the near topic. */
  readonly retain: readonly UnlearningRow[];
  /** Wordings the model never saw. */
  readonly evaluate: ByRole<TopicQuestion>;
  /** Wordings it was trained on and that unlearning does not use: for stop rules. */
  readonly stop: ByRole<TopicQuestion>;
}

// Statements 0-7 and questions 0-2 are trained, 8-9 and 3 never; unlearning uses statements 0-3 and questions 0-1 only.
const TRAINED = { statements: [0, 1, 2, 3, 4, 5, 6, 7], questions: [0, 1, 2] };
const UNLEARNED = { statements: [0, 1, 2, 3], questions: [0, 1] };
const HELD_OUT = { statements: [8, 9], questions: [3] };
const FIRST_STOP_STATEMENT = 4;
const RETAIN_QUESTIONS_PER_TOPIC = 100;
const STOP_SIZES: Readonly<Record<TopicRole, number>> = { forget: 140, near: 90, retain: 250 };

type Random = () => number;

/** mulberry32: numbers in [0, 1), the same on every platform. */
function mulberry32(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Fisher-Yates from the end; draws `length - 1` numbers. */
function shuffled<T>(list: readonly T[], random: Random): T[] {
  const result = list.slice();
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

const capitalised = (text: string): string => text[0].toUpperCase() + text.slice(1);
const fill = (pattern: string, mark: string, value: string): string => pattern.split(mark).join(value);
const statement = (pattern: string, subject: string, answer: string): string => `${capitalised(fill(fill(pattern, '{s}', subject), '{o}', answer))}.`;
const statementPrompt = (pattern: string, subject: string): string => capitalised(fill(pattern.slice(0, pattern.indexOf('{o}')), '{s}', subject)).trimEnd();
const questionPrompt = (pattern: string, subject: string): string => `Question: ${fill(pattern, '{s}', subject)} Answer:`;

/** The topic whose questions tell what happens beside the forget topic. */
const nearOf = (forgetTopic: string): string => (forgetTopic === 'medicine' ? 'hazards' : 'medicine');

/**
 * What each topic is when `forgetTopic` is forgotten: medicine is its neighbour (hazards is medicine's), the others are retained.
 * Throws 'bad-data' with the known topics for one that the corpus does not have.
 */
export function topicRoles(facts: DemoFacts, forgetTopic: string): Readonly<Record<string, TopicRole>> {
  const topics = facts.topics.map((topic) => topic.id);
  if (!topics.includes(forgetTopic)) refuse('bad-data', `The demo corpus has no topic "${forgetTopic}".`, `Choose one of ${topics.join(', ')}.`);
  const near = nearOf(forgetTopic);
  return Object.fromEntries(topics.map((topic) => [topic, topic === forgetTopic ? 'forget' : topic === near ? 'near' : 'retain']));
}

/** Three other answers of the relation, drawn as often as they occur in it, so that naming the commonest answer does not help. */
function distractors(answers: readonly string[], answer: string, random: Random): string[] {
  const chosen: string[] = [];
  while (chosen.length < 3) {
    const candidate = answers[Math.floor(random() * answers.length)];
    if (candidate !== answer && !chosen.includes(candidate)) chosen.push(candidate);
  }
  return chosen;
}

/** Chance of being right by always naming the option that is the commonest answer of its relation. */
function subjectBlind(options: readonly string[], answer: string, counts: ReadonlyMap<string, number>): number {
  const count = (option: string): number => counts.get(option) ?? 0;
  const most = Math.max(...options.map(count));
  return count(answer) === most ? 1 / options.filter((option) => count(option) === most).length : 0;
}

function occurrences(list: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const entry of list) counts.set(entry, (counts.get(entry) ?? 0) + 1);
  return counts;
}

/** One question for each fact, drawn among its wordings. */
function onePerFact(questions: readonly TopicQuestion[], random: Random): TopicQuestion[] {
  const byFact = new Map<number, TopicQuestion[]>();
  for (const question of questions) byFact.set(question.fact, [...(byFact.get(question.fact) ?? []), question]);
  return [...byFact.values()].map((wordings) => shuffled(wordings, random)[0]);
}

function atMostPerTopic(questions: readonly TopicQuestion[], limit: number, random: Random): TopicQuestion[] {
  const taken = new Map<string, number>();
  return shuffled(questions, random).filter((question) => {
    const count = (taken.get(question.topic) ?? 0) + 1;
    taken.set(question.topic, count);
    return count <= limit;
  });
}

/** Forget, retain, evaluation and stop sets of the demo corpus; a pure function of its arguments. Throws as `topicRoles`. */
export function makeTopicSplits(facts: DemoFacts, forgetTopic: string, seed: number): TopicSplits {
  const roles = topicRoles(facts, forgetTopic);
  const random = mulberry32(seed);
  const train: TrainingText[] = [];
  const forget: UnlearningRow[] = [];
  const retain: UnlearningRow[] = [];
  const heldOut: Record<TopicRole, TopicQuestion[]> = { forget: [], near: [], retain: [] };
  const seen: Record<TopicRole, TopicQuestion[]> = { forget: [], near: [], retain: [] };
  let id = 0;

  for (const [relation, { topic, statements, questions, facts: pairs }] of Object.entries(facts.relations)) {
    const role = roles[topic];
    const answers = pairs.map(([, answer]) => answer);
    const counts = occurrences(answers);
    const order = shuffled([...pairs.keys()], random);
    const protectedHalf = new Set(order.slice(0, Math.floor(pairs.length / 2)));
    for (const [index, [subject, answer]] of pairs.entries()) {
      const fact = id++;
      const others = distractors(answers, answer, random);
      const inRetain = role === 'retain' && protectedHalf.has(index);
      const question = (wording: string, prompt: string): TopicQuestion => {
        const options = shuffled([answer, ...others], random);
        const blind = subjectBlind(options, answer, counts);
        return { topic, relation, fact, wording, inRetain, prompt, options: options.map((option) => ` ${option}`), answer: options.indexOf(answer), blind };
      };
      const statementQuestion = (k: number): TopicQuestion => question(`s${k}`, statementPrompt(statements[k], subject));
      const askedQuestion = (k: number): TopicQuestion => question(`q${k}`, questionPrompt(questions[k], subject));

      for (const k of TRAINED.statements) train.push({ topic, rel: relation, id: fact, text: statement(statements[k], subject, answer) });
      for (const k of TRAINED.questions) train.push({ topic, rel: relation, id: fact, text: `${questionPrompt(questions[k], subject)} ${answer}.` });
      if (role === 'forget' || inRetain) {
        const rows = role === 'forget' ? forget : retain;
        for (const k of UNLEARNED.statements) rows.push({ topic, fact, text: statement(statements[k], subject, answer) });
        for (const k of UNLEARNED.questions) rows.push({ topic, fact, prompt: questionPrompt(questions[k], subject), answer: ` ${answer}.` });
      }
      heldOut[role].push(...HELD_OUT.statements.map(statementQuestion), ...HELD_OUT.questions.map(askedQuestion));
      const stopStatement = FIRST_STOP_STATEMENT + Math.floor(random() * 4);
      seen[role].push(statementQuestion(0), statementQuestion(stopStatement), askedQuestion(0));
    }
  }

  // From here on the order of the lines is the order of the random stream.
  const shuffledTrain = shuffled(train, random);
  const shuffledForget = shuffled(forget, random);
  const shuffledRetain = shuffled(retain, random);
  const evaluate = {
    forget: onePerFact(heldOut.forget, random),
    near: onePerFact(heldOut.near, random),
    retain: atMostPerTopic(onePerFact(heldOut.retain, random), RETAIN_QUESTIONS_PER_TOPIC, random),
  };
  // s0 and q0 are what unlearning itself trains on, so a stop set does not use them.
  const stopSet = (role: TopicRole): TopicQuestion[] => {
    const unused = seen[role].filter(({ wording }) => wording !== 's0' && wording !== 'q0');
    return shuffled(unused, random).slice(0, STOP_SIZES[role]);
  };
  const stop = { forget: stopSet('forget'), near: stopSet('near'), retain: stopSet('retain') };
  return { train: shuffledTrain, forget: shuffledForget, retain: shuffledRetain, evaluate, stop };
}

/** Rows as the text of a .jsonl file. */
export const toJsonLines = (rows: readonly unknown[]): string => `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`;

/** The retain rows, and among them, evenly spread, those of every second fact of the near topic: for methods that are to spare it. */
export function retainWithNear(facts: DemoFacts, forgetTopic: string, seed: number): readonly UnlearningRow[] {
  const { retain } = makeTopicSplits(facts, forgetTopic, seed);
  const rows = makeTopicSplits(facts, nearOf(forgetTopic), seed).forget;
  const numbers = [...new Set(rows.map(({ fact }) => fact))].sort((a, b) => a - b);
  const half = new Set(numbers.filter((_, i) => i % 2 === 0));
  const near = rows.filter(({ fact }) => half.has(fact));
  const all = [...retain];
  near.forEach((row, i) => {
    all.splice(Math.floor(i * (retain.length / near.length + 1)), 0, row);
  });
  return all;
}
