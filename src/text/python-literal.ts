/**
 * Lists as text: JSON, or as Python's repr and NumPy print them, `['a', "b's"]`, `['a' 'b']`, `[1 2 3]`, `[{'role': 'user', ...}]`.
 * Exports of MMLU through pandas look like this. Nothing is ever evaluated.
 */
export function parseList(text: string): readonly unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    // Not JSON: perhaps Python's.
  }
  const reader = { text, at: 0 };
  const value = literal(reader, 0);
  skipSpace(reader);
  return Array.isArray(value) && reader.at === text.length ? value : null;
}

interface Reader {
  readonly text: string;
  at: number;
}

/** Returned where the text is no literal. */
const NOTHING = Symbol('no literal');
/** Rows nest a list of objects; anything much deeper is no row. */
const DEEPEST = 16;

const WORDS: Readonly<Record<string, unknown>> = { None: null, True: true, False: false, null: null, true: true, false: false, nan: null };

function literal(reader: Reader, depth: number): unknown {
  skipSpace(reader);
  const mark = reader.text[reader.at];
  if (depth > DEEPEST || mark === undefined) return NOTHING;
  if (mark === '[' || mark === '(') return sequence(reader, mark === '[' ? ']' : ')', depth);
  if (mark === '{') return dictionary(reader, depth);
  if (mark === '"' || mark === "'") return quoted(reader, mark);
  const word = match(reader, /[A-Za-z]+/y);
  if (word !== null) {
    if (word === 'array') return arrayCall(reader, depth);
    return Object.hasOwn(WORDS, word) ? WORDS[word] : NOTHING;
  }
  const number = match(reader, /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y);
  return number === null ? NOTHING : Number(number);
}

/** Entries between brackets; NumPy leaves the commas out. */
function sequence(reader: Reader, close: string, depth: number): unknown {
  reader.at++;
  const entries: unknown[] = [];
  for (;;) {
    skipSpace(reader);
    if (reader.text[reader.at] === close) {
      reader.at++;
      return entries;
    }
    const entry = literal(reader, depth + 1);
    if (entry === NOTHING) return NOTHING;
    entries.push(entry);
    skipSpace(reader);
    if (reader.text[reader.at] === ',') reader.at++;
  }
}

function dictionary(reader: Reader, depth: number): unknown {
  reader.at++;
  const entries: [string, unknown][] = [];
  for (;;) {
    skipSpace(reader);
    if (reader.text[reader.at] === '}') {
      reader.at++;
      return Object.fromEntries(entries);
    }
    const key = literal(reader, depth + 1);
    skipSpace(reader);
    if (typeof key !== 'string' || reader.text[reader.at] !== ':') return NOTHING;
    reader.at++;
    const value = literal(reader, depth + 1);
    if (value === NOTHING) return NOTHING;
    entries.push([key, value]);
    skipSpace(reader);
    if (reader.text[reader.at] === ',') reader.at++;
  }
}

/** `array([...], dtype=object)`. */
function arrayCall(reader: Reader, depth: number): unknown {
  if (match(reader, /\(/y) === null) return NOTHING;
  const value = literal(reader, depth + 1);
  return match(reader, /\s*(?:,\s*dtype=[\w<>.']+\s*)?\)/y) === null ? NOTHING : value;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\x07',
  0: '\0',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
};

function quoted(reader: Reader, quote: string): unknown {
  const body = match(reader, quote === '"' ? /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y : /'[^'\\]*(?:\\[\s\S][^'\\]*)*'/y);
  if (body === null) return NOTHING;
  return body.slice(1, -1).replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[\s\S])/g, (whole, code: string) => {
    if (!/^[xuU]./.test(code)) return Object.hasOwn(ESCAPES, code) ? ESCAPES[code] : whole;
    const point = Number.parseInt(code.slice(1), 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

const skipSpace = (reader: Reader): void => void match(reader, /\s+/y);

function match(reader: Reader, pattern: RegExp): string | null {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text);
  if (found === null) return null;
  reader.at = pattern.lastIndex;
  return found[0];
}
