/** The JSON Schema of `*.sweep.json`, for editors: from the zod schemas of sweep and recipe. */
import { z } from 'zod';
import { recipeJsonSchema } from '../protocol/recipe-json-schema';
import { optionSchema, sweepSchema } from './sweep-plan';

type Json = { readonly [name: string]: unknown };
const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Properties of an object, also of one that may be null or stands beside other forms. */
function propertiesOf(shape: unknown): Json {
  if (!isJson(shape)) return {};
  if (isJson(shape.properties)) return shape.properties;
  return Array.isArray(shape.anyOf) ? Object.assign({}, ...shape.anyOf.map(propertiesOf)) : {};
}

/** Every field of the recipe by its dotted path: `method`, `anchor`, `anchor.weight`. */
function fieldsOf(shape: Json, before = ''): readonly (readonly [string, Json])[] {
  return Object.entries(propertiesOf(shape)).flatMap(([name, inner]) => {
    const own = isJson(inner) ? inner : {};
    return [[`${before}${name}`, own] as const, ...fieldsOf(own, `${before}${name}.`)];
  });
}

const descriptionOf = ({ description }: Json): Json => (description === undefined ? {} : { description });

/** JSON Schema (draft 2020-12) of `*.sweep.json`. A recipe in it lacks what is varied: none of its fields is needed, and its options need not fit its method. */
export function sweepJsonSchema(): Json {
  const shape = z.toJSONSchema(sweepSchema, { io: 'input' }) as Json & { readonly properties: { readonly [field: string]: Json } };
  const { required: _needed, allOf: _byMethod, title: _title, $schema: _draft, ...recipe } = recipeJsonSchema();
  const fields = fieldsOf(recipe);
  const set = { type: 'object', additionalProperties: false, properties: Object.fromEntries(fields) };
  const { $schema: _same, ...option } = z.toJSONSchema(optionSchema, { io: 'input' }) as Json & { readonly properties: { readonly [field: string]: Json } };
  const values = (own: readonly unknown[]) => ({ type: 'array', minItems: 1, items: { anyOf: own } });
  const vary = {
    ...descriptionOf(shape.properties.vary),
    type: 'object',
    properties: Object.fromEntries(
      fields.map(([name, field]) => [name, { ...descriptionOf(field), ...values([{ $ref: `#/$defs/set/properties/${name}` }, { $ref: '#/$defs/option' }]) }]),
    ),
    additionalProperties: values([{ $ref: '#/$defs/option' }]),
  };
  return {
    ...shape,
    title: 'UOE sweep',
    properties: {
      ...shape.properties,
      recipe: { ...descriptionOf(shape.properties.recipe), anyOf: [{ type: 'string', minLength: 1 }, { $ref: '#/$defs/recipe' }] },
      vary,
    },
    $defs: { recipe, set, option: { ...option, properties: { ...option.properties, set: { ...descriptionOf(option.properties.set), $ref: '#/$defs/set' } } } },
  };
}
