/**
 * A Jinja template with bounds on its work and on what it makes. The library evaluates only its own values (a template reaches no property of ours), but
 * nothing stops a template that loops for ever or doubles a list forty times. Here every step is counted, every value is weighed as it is made, and the
 * few operations that make much of little are looked at before they begin.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';

type Node = NonNullable<Parameters<Interpreter['evaluate']>[0]>;
type Value = ReturnType<Interpreter['evaluate']>;
type Loose = Readonly<Record<string, unknown>>;

/** Characters of a text, and of all that a list holds, written out: four times a context of a million tokens. */
const LONGEST = 1 << 22;
/** Characters of a template's source; the longest known is below 40,000. */
const LONGEST_SOURCE = 1 << 18;
/** What a number or an entry counts, in characters: about what it takes in memory. */
const ENTRY = 32;
/** This many characters looked at or made count as one step. */
const CHARACTERS_A_STEP = 64;

/** A turn of a loop makes its scope and its `loop`. */
const STEPS_A_TURN = 16;

/** Steps left to a piece of work of one or several renderings. */
export interface Budget {
  steps: number;
}

/** Thrown when the budget is used up or a value is too large. */
export class TooMuch extends Error {}

export type Render = (variables: Readonly<Record<string, unknown>>, budget: Budget) => string;

/** Throws where the source is no template; what it gives throws where a template fails or does too much. */
export function boundedTemplate(source: string): Render {
  if (source.length > LONGEST_SOURCE) throw new TooMuch(`it has ${source.length} characters, more than ${LONGEST_SOURCE}`);
  const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  return (variables, budget) => {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
    const { value } = new BoundedInterpreter(environment, budget).run(program);
    return String(value);
  };
}

const globals: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  strftime_now: (format: unknown) => formattedNow(String(format)),
};

/** Python's range. */
function range(first: unknown, second?: unknown, step: unknown = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (typeof start !== 'number' || typeof stop !== 'number' || typeof step !== 'number' || step === 0)
    throw new Error('range() needs whole numbers, a step other than 0');
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= LONGEST / ENTRY)) throw new TooMuch(`it asks for a range of ${count} numbers`);
  return Array.from({ length: count }, (_, i) => start + i * step);
}

/** Python's strftime, as far as the library knows it. */
function formattedNow(format: string): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, '0');
  const month = (length: 'short' | 'long') => new Intl.DateTimeFormat('en', { month: length }).format(now);
  const parts: Readonly<Record<string, () => string>> = {
    '%Y': () => String(now.getFullYear()),
    '%m': () => two(now.getMonth() + 1),
    '%d': () => two(now.getDate()),
    '%b': () => month('short'),
    '%B': () => month('long'),
    '%H': () => two(now.getHours()),
    '%M': () => two(now.getMinutes()),
    '%%': () => '%',
  };
  return format.replace(/%[YmdbBHM%]/g, (token) => parts[token]());
}

/** A node that stands for a value already there, so that it is evaluated once and can be looked at first. */
const held = (value: Value): Node => ({ type: 'Held', value }) as unknown as Node;
const nodeOf = (value: unknown): Node => value as Node;

class BoundedInterpreter extends Interpreter {
  readonly #weights = new WeakMap<object, number>();

  constructor(
    environment: Environment,
    private readonly budget: Budget,
  ) {
    super(environment);
  }

  override evaluate(node: Node | undefined, environment: Environment): Value {
    if (node === undefined) return super.evaluate(node, environment);
    if ((node.type as string) === 'Held') return (node as unknown as { value: Value }).value;
    this.#spend(1);
    // A filter of an empty list gives nothing at all.
    const value = (super.evaluate(this.#looked(node, environment), environment) as Value | undefined) ?? super.evaluate(undefined, environment);
    const weight = this.#weigh(value);
    if (weight > LONGEST) throw new TooMuch(`it makes a value of more than ${LONGEST} characters`);
    if (MAKES.has(node.type)) this.#spend(weight / CHARACTERS_A_STEP);
    return value;
  }

  #spend(steps: number): void {
    this.budget.steps -= steps;
    if (this.budget.steps < 0) throw new TooMuch('it takes too many steps');
  }

  /** The node with its operands evaluated, counted and found small enough for what is to be done with them. */
  #looked(node: Node, environment: Environment): Node {
    const own = node as unknown as Loose;
    const hold = (part: unknown): Node => {
      // Some filters insist on a text written out.
      if ((part as Loose).type === 'StringLiteral') return nodeOf(part);
      const value = this.evaluate(nodeOf(part), environment);
      this.#spend(this.#weigh(value) / CHARACTERS_A_STEP);
      return held(value);
    };
    switch (node.type as string) {
      case 'For': {
        const iterable = own.iterable as Loose;
        const selects = iterable.type === 'SelectExpression';
        const items = hold(selects ? iterable.lhs : iterable);
        const { value } = heldBy(items) as { value: unknown };
        this.#spend(STEPS_A_TURN * (Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0));
        return nodeOf({ ...own, iterable: selects ? { ...iterable, lhs: items } : items });
      }
      case 'BinaryExpression': {
        const operator = (own.operator as Loose).value;
        return operator === 'and' || operator === 'or' ? node : nodeOf({ ...own, left: hold(own.left), right: hold(own.right) });
      }
      case 'FilterExpression':
        return this.#lookedFilter(hold(own.operand), own.filter as Loose, hold);
      case 'FilterStatement':
        return this.#lookedFilter(hold({ type: 'Program', body: own.body }), own.filter as Loose, hold);
      case 'CallExpression': {
        const args = heldArguments(own.args, hold);
        const callee = own.callee as Loose;
        if (callee.type !== 'MemberExpression') return nodeOf({ ...own, args });
        const object = hold(callee.object);
        const property = callee.computed === true && (callee.property as Loose).type !== 'SliceExpression' ? hold(callee.property) : callee.property;
        const name = callee.computed === true ? heldBy(property as Node)?.value : (property as Loose).value;
        this.#refuseGrowth(String(name), heldBy(object), args);
        return nodeOf({ ...own, args, callee: { ...callee, object, property, looked: true } });
      }
      case 'MemberExpression': {
        if (own.looked === true) return node;
        const slice = (own.property as Loose).type === 'SliceExpression';
        const object = slice ? hold(own.object) : held(this.evaluate(nodeOf(own.object), environment));
        const property = own.computed === true && !slice ? hold(own.property) : (own.property as Node);
        const name = own.computed === true && !slice ? heldBy(property).value : (own.property as Loose).value;
        // Kept under another name it could not be looked at when it is called.
        if (heldBy(object).type === 'StringValue' && (name === 'replace' || name === 'split')) throw new Error(`${name} must be called where it is named`);
        return nodeOf({ ...own, object, property });
      }
      default:
        return node;
    }
  }

  #lookedFilter(operand: Node, filter: Loose, hold: (part: unknown) => Node): Node {
    if (filter.type !== 'CallExpression') return nodeOf({ type: 'FilterExpression', operand, filter });
    const args = heldArguments(filter.args, hold);
    this.#refuseGrowth(String((filter.callee as Loose).value), heldBy(operand), args);
    return nodeOf({ type: 'FilterExpression', operand, filter: { ...filter, args } });
  }

  /** Operations whose result may be far longer than what goes into them. */
  #refuseGrowth(name: string, operand: Value, args: readonly Node[]): void {
    const values = args.flatMap(argumentValues).map(({ value }): unknown => value);
    const texts = values.filter((value) => typeof value === 'string');
    const longest = texts.reduce((most, text) => Math.max(most, text.length), 0);
    const largest = values.reduce<number>((most, value) => (typeof value === 'number' ? Math.max(most, value) : most), 0);
    const grown = (length: number): void => {
      if (!(length <= LONGEST)) throw new TooMuch(`its ${name} makes a text of more than ${LONGEST} characters`);
    };
    const text = typeof operand.value === 'string' ? operand.value : null;
    if (name === 'replace' && text !== null) grown(text.length + occurrences(text, texts[0] ?? '') * (texts[1] ?? '').length);
    else if (name === 'split' && text !== null) grown(ENTRY * (texts.length > 0 && texts[0] !== '' ? occurrences(text, texts[0]) : text.length / 2));
    else if (name === 'join') grown(this.#weigh(operand) + longest * (Array.isArray(operand.value) ? operand.value.length : (text?.length ?? 0)));
    else if (name === 'indent' && text !== null) grown(text.length + Math.max(longest, largest) * (occurrences(text, '\n') + 1));
    else if (name === 'tojson') grown(this.#weigh(operand) + (this.#weigh(operand) / ENTRY) * (2 * longest + largest * depthOf(operand)));
  }

  /** Characters it would take to write a value out, shared parts as often as they are shared; about, and no further than LONGEST. */
  #weigh(value: Value, left = { nodes: LONGEST / ENTRY }): number {
    const inner = value.value as unknown;
    if (typeof inner === 'string') return inner.length;
    if (typeof inner !== 'object' || inner === null) return 1;
    const known = this.#weights.get(value);
    if (known !== undefined) return known;
    // What a namespace holds may change.
    let fixed = (value.type as string) !== 'NamespaceValue';
    let weight = ENTRY;
    const entries: Iterable<Value> = inner instanceof Map ? (inner.values() as Iterable<Value>) : (inner as readonly Value[]);
    if (inner instanceof Map) for (const key of inner.keys()) weight += String(key).length;
    for (const entry of entries) {
      if (--left.nodes < 0 || weight > LONGEST) return Number.POSITIVE_INFINITY;
      weight += ENTRY + this.#weigh(entry, left);
      fixed &&= this.#isFixed(entry);
    }
    if (fixed) this.#weights.set(value, weight);
    return weight;
  }

  #isFixed(value: Value): boolean {
    return typeof (value.value as unknown) !== 'object' || value.value === null || this.#weights.has(value);
  }
}

/** Nodes that make a value anew, whatever its size; others hand on what is there. */
const MAKES: ReadonlySet<string> = new Set([
  'BinaryExpression',
  'FilterExpression',
  'FilterStatement',
  'CallExpression',
  'CallStatement',
  'ArrayLiteral',
  'TupleLiteral',
  'ObjectLiteral',
]);

function heldBy(node: Node): Value {
  const { type, value } = node as unknown as { type: string; value: Value | string };
  return (type === 'StringLiteral' ? { type: 'StringValue', value } : value) as Value;
}

/** Arguments evaluated in the library's order: positional ones first. */
function heldArguments(args: unknown, hold: (part: unknown) => Node): readonly Node[] {
  const given = args as readonly Loose[];
  const isKeyword = ({ type }: Loose) => type === 'KeywordArgumentExpression' || type === 'KeywordSpreadExpression';
  const one = (arg: Loose): Node => {
    if (arg.type === 'KeywordArgumentExpression') return nodeOf({ ...arg, value: hold(arg.value) });
    if (arg.type === 'SpreadExpression' || arg.type === 'KeywordSpreadExpression') return nodeOf({ ...arg, argument: hold(arg.argument) });
    return hold(arg);
  };
  const positional = given.filter((arg) => !isKeyword(arg)).map(one);
  return [...positional, ...given.filter(isKeyword).map(one)];
}

/** What an evaluated argument brings: one value, or those of a list or of a mapping that is spread. */
function argumentValues(arg: Node): readonly Value[] {
  const own = arg as unknown as { type: string; value: Node; argument: Node };
  if (own.type === 'KeywordArgumentExpression') return [heldBy(own.value)];
  if (own.type !== 'SpreadExpression' && own.type !== 'KeywordSpreadExpression') return [heldBy(arg)];
  const inner = heldBy(own.argument).value as unknown;
  return inner instanceof Map ? ([...inner.values()] as Value[]) : Array.isArray(inner) ? (inner as Value[]) : [];
}

function occurrences(text: string, part: string): number {
  if (part === '') return text.length + 1;
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/** How deep lists and objects lie in one another. */
function depthOf({ value }: Value): number {
  const inner = value as unknown;
  if (typeof inner !== 'object' || inner === null) return 0;
  let deepest = 0;
  for (const entry of inner instanceof Map ? inner.values() : (inner as readonly Value[])) deepest = Math.max(deepest, depthOf(entry as Value));
  return 1 + deepest;
}
