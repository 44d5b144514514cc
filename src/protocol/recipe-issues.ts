/** What zod found wrong with a recipe, as one sentence that names the field, what it is and what is understood. */
import { z } from 'zod';
import { type Fault, fail } from './fault';
import { nearestName } from './nearest-name';
import { recipeSchema } from './recipe-schema';

/** The part of a JSON Schema that is read here. */
interface Shape {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly items?: Shape;
  readonly additionalProperties?: Shape | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const quoted = (value: unknown): string => JSON.stringify(value);
const listed = (parts: readonly string[]): string => (parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} or ${parts[parts.length - 1]}`);

/** `checks.utility[0]` */
export const fieldName = (path: Path): string =>
  path.reduce<string>((name, key) => (typeof key === 'number' ? `${name}[${key}]` : name === '' ? String(key) : `${name}.${String(key)}`), '');

function limits(shape: Shape): string {
  const parts: string[] = [];
  if (shape.exclusiveMinimum !== undefined && Number.isFinite(shape.exclusiveMinimum)) parts.push(`above ${shape.exclusiveMinimum}`);
  if (shape.minimum !== undefined && shape.minimum > Number.MIN_SAFE_INTEGER) parts.push(`of at least ${shape.minimum}`);
  if (shape.exclusiveMaximum !== undefined) parts.push(`below ${shape.exclusiveMaximum}`);
  if (shape.maximum !== undefined && shape.maximum < Number.MAX_SAFE_INTEGER) parts.push(`at most ${shape.maximum}`);
  return parts.length === 0 ? '' : ` ${parts.join(' and ')}`;
}

/** What a field takes, in words: `a number above 0`, `"all" or a whole number of at least 1`. */
function expectation(shape: Shape): string {
  if (shape.anyOf) return listed(shape.anyOf.map(expectation));
  if (shape.const !== undefined) return quoted(shape.const);
  if (shape.enum) return listed(shape.enum.map(quoted));
  switch (shape.type) {
    case 'integer':
      return `a whole number${limits(shape)}`;
    case 'number':
      return `a number${limits(shape)}`;
    case 'string':
      return 'text';
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list of ${expectation(shape.items ?? {})}`;
    case 'object':
      return shape.properties ? `{${Object.keys(shape.properties).map(quoted).join(', ')}}` : 'an object of texts';
    default:
      return 'a value';
  }
}

function described(value: unknown): string {
  if (value === undefined || value === null) return 'missing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return `{${Object.keys(value).map(quoted).join(', ')}}`;
  return quoted(value);
}

let madeShape: Shape | undefined;
/** Made when a recipe is wrong, which is rare. */
function recipeShape(): Shape {
  madeShape ??= z.toJSONSchema(recipeSchema, { io: 'input' }) as Shape;
  return madeShape;
}

/** All shapes that `path` may lead to (a union has several). */
function shapesAt(shape: Shape, path: Path): Shape[] {
  if (shape.anyOf) return shape.anyOf.flatMap((option) => shapesAt(option, path));
  if (path.length === 0) return [shape];
  const [key, ...rest] = path;
  const next =
    typeof key === 'number'
      ? shape.items
      : (shape.properties?.[String(key)] ?? (typeof shape.additionalProperties === 'object' ? shape.additionalProperties : undefined));
  return next ? shapesAt(next, rest) : [];
}

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<PropertyKey, unknown>)[key] : undefined), value);

const namesAt = (path: Path): string[] => [...new Set(shapesAt(recipeShape(), path).flatMap((shape) => Object.keys(shape.properties ?? {})))];
const expectedAt = (path: Path): string => expectation({ anyOf: shapesAt(recipeShape(), path) });

/** The names an object of this form must have that `value` lacks, and those it has that the form does not know. */
function misfit(shape: Shape, value: object): number {
  const known = Object.keys(shape.properties ?? {});
  return (shape.required ?? []).filter((name) => !(name in value)).length + Object.keys(value).filter((name) => !known.includes(name)).length;
}

/** An issue of a union becomes the issue of the form that the writer most likely meant, if one can be told. */
function narrowed(issue: Issue, value: unknown): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const written = valueAt(value, issue.path);
  if (typeof written !== 'object' || written === null || Array.isArray(written)) return issue;
  const known = namesAt(issue.path);
  const unknown = Object.keys(written).filter((name) => !known.includes(name));
  if (unknown.length > 0 && known.length > 0) return { code: 'unrecognized_keys', keys: unknown, path: issue.path, message: '', input: {} };
  const forms = shapesAt(recipeShape(), issue.path);
  const fits = forms.map((form) => (form.type === 'object' ? misfit(form, written) : Number.POSITIVE_INFINITY));
  const smallest = Math.min(...fits);
  const best = fits.indexOf(smallest);
  const inner = issue.errors[best]?.find((each) => each.code === 'unrecognized_keys') ?? issue.errors[best]?.[0];
  if (smallest > 0 || fits.indexOf(smallest, best + 1) >= 0 || !inner) return issue;
  return narrowed({ ...inner, path: [...issue.path, ...inner.path] } as Issue, value);
}

/** `Recipe field "optimizer.lr" is "fast"; expected a number above 0.` */
export function recipeFault(issues: readonly Issue[], value: unknown): Fault {
  const narrow = issues.map((issue) => narrowed(issue, value));
  const issue = narrow.find((each) => each.code === 'unrecognized_keys') ?? narrow[0];
  const field = fieldName(issue.path);
  if (issue.code === 'unrecognized_keys') return unknownName(issue.keys[0], issue.path, namesAt(issue.path));
  const written = valueAt(value, issue.path);
  const expected = expectedAt(issue.path);
  if (field === '')
    return fail('bad-data', `A recipe is a JSON object, but this is ${described(value)}.`, 'Write at least {"model": "...", "forget": "..."}.').fault;
  if (written === undefined) return fail('bad-data', `The recipe lacks "${field}".`, `Add "${field}": ${expected}.`).fault;
  if (written === '') return fail('bad-data', `Recipe field "${field}" is empty; expected ${expected}.`).fault;
  const choices = [
    ...new Set(shapesAt(recipeShape(), issue.path).flatMap((shape) => [...(shape.enum ?? []), ...(shape.const === undefined ? [] : [shape.const])])),
  ].filter((choice) => typeof choice === 'string');
  const near = typeof written === 'string' && choices.length > 0 ? nearestName(written, choices) : undefined;
  return fail('bad-data', `Recipe field "${field}" is ${described(written)}; expected ${expected}.`, near === undefined ? undefined : `Did you mean "${near}"?`)
    .fault;
}

/** A field that is not in `known`, with the nearest that is. */
export function unknownName(name: string, path: Path, known: readonly string[]): Fault {
  const near = nearestName(name, known);
  const field = fieldName([...path, name]);
  return fail('bad-data', `The recipe has an unknown field "${field}".`, near === undefined ? 'Take it out.' : `Did you mean "${fieldName([...path, near])}"?`)
    .fault;
}
