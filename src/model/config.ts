/** Reading config.json field by field: each missing or misshapen field becomes one sentence. */
import { faultOf, ok, type Result, refuse } from '../protocol/fault';

export type RawConfig = Readonly<Record<string, unknown>>;

export interface ConfigFields {
  readonly raw: RawConfig;
  /** A whole number under the first of `names` that is present (null counts as absent). */
  int(names: string | readonly string[], otherwise?: number): number;
  float(name: string, otherwise?: number): number;
  flag(name: string, otherwise: boolean): boolean;
  text(name: string, otherwise: string): string;
  /** null where the field is null or, if `whenAbsent` is null, missing. */
  intOrNull(name: string, whenAbsent: number | null): number | null;
  floatOrNull(name: string): number | null;
  ints(name: string): readonly number[];
  texts(name: string): readonly string[] | null;
}

/** Sizes of 32 bits: their products are still exact. */
const LARGEST = 2 ** 31 - 1;
/** More than any model has; every layer and expert is an object in memory. */
const MOST_LAYERS = 4096;
const MOST_EXPERTS = 2 ** 20;

export function readConfig<C>(raw: RawConfig, read: (fields: ConfigFields) => C): Result<C> {
  const wrong = (name: string, expected: string): never =>
    refuse(
      'bad-file',
      `config.json: "${name}" is ${JSON.stringify(raw[name]) ?? 'missing'}, expected ${expected}.`,
      'Check that config.json belongs to this checkpoint.',
    );
  const present = (name: string) => raw[name] !== undefined && raw[name] !== null;
  const wholeNumber = (name: string): number => {
    const value = raw[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) return wrong(name, 'a whole number');
    return value <= LARGEST ? value : wrong(name, `a whole number up to ${LARGEST}`);
  };
  const number = (name: string): number => {
    const value = raw[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : wrong(name, 'a number');
  };
  const fields: ConfigFields = {
    raw,
    int(names, otherwise) {
      const all = typeof names === 'string' ? [names] : names;
      const found = all.find(present);
      if (found === undefined) return otherwise ?? wrong(all[0], 'a whole number');
      return wholeNumber(found);
    },
    float: (name, otherwise) => (present(name) || otherwise === undefined ? number(name) : otherwise),
    flag: (name, otherwise) => (!present(name) ? otherwise : typeof raw[name] === 'boolean' ? raw[name] : wrong(name, 'true or false')),
    text: (name, otherwise) => (!present(name) ? otherwise : typeof raw[name] === 'string' ? raw[name] : wrong(name, 'a text')),
    intOrNull: (name, whenAbsent) => (raw[name] === undefined ? whenAbsent : raw[name] === null ? null : wholeNumber(name)),
    floatOrNull: (name) => (present(name) ? number(name) : null),
    ints(name) {
      if (!present(name)) return [];
      const value = raw[name];
      return Array.isArray(value) && value.every((item) => Number.isInteger(item)) ? (value as number[]) : wrong(name, 'a list of whole numbers');
    },
    texts(name) {
      if (!present(name)) return null;
      const value = raw[name];
      return Array.isArray(value) && value.every((item) => typeof item === 'string') ? (value as string[]) : wrong(name, 'a list of texts');
    },
  };
  try {
    const act = raw.hidden_act;
    if (act !== undefined && act !== 'silu' && act !== 'swish') {
      refuse('unsupported', `config.json: hidden_act is ${JSON.stringify(act)}.`, 'UOE reads models with silu.');
    }
    return ok(read(fields));
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

/** Refuses sizes that cannot be: a zero, heads that do not divide, more chosen experts than there are. */
export function checkSizes(sizes: { heads: number; kvHeads: number; experts: number; topK: number; layers: number; d: number }): void {
  for (const [name, value] of Object.entries(sizes))
    if (!(value >= 1)) refuse('bad-file', `config.json: ${name} is ${value}.`, 'Check that config.json belongs to this checkpoint.');
  const { heads, kvHeads, experts, topK, layers } = sizes;
  const remedy = 'Check that config.json belongs to this checkpoint.';
  if (heads % kvHeads !== 0) refuse('bad-file', `config.json: ${heads} attention heads do not divide among ${kvHeads} key-value heads.`, remedy);
  if (topK > experts) refuse('bad-file', `config.json: ${topK} experts per token of only ${experts} experts.`, remedy);
  if (layers > MOST_LAYERS) refuse('bad-file', `config.json: ${layers} layers are more than the ${MOST_LAYERS} that can be read.`, remedy);
  if (layers * experts > MOST_EXPERTS)
    refuse('bad-file', `config.json: ${layers} layers of ${experts} experts are more than the ${MOST_EXPERTS} experts that can be read.`, remedy);
}

/** Layers 0..layers-1 for which `isMoe` holds. */
export const layersWhere = (layers: number, isMoe: (layer: number) => boolean): number[] => Array.from({ length: layers }, (_, layer) => layer).filter(isMoe);
