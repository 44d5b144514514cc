/**
 * Chat templates, rendered as transformers' apply_chat_template does (transformers/utils/chat_template_utils.py: trim_blocks, lstrip_blocks,
 * raise_exception, strftime_now, special tokens by name). The assistant's part of a conversation is where the template's {% generation %} blocks say;
 * without them it is what the assistant's message adds to the rendering of the messages before it.
 */
import { FaultError, refuse } from '../protocol/fault';
import { type Budget, boundedTemplate, type Render, TooMuch } from './bounded-template';
import type { Tokenizer } from './tokenizer';

export interface Message {
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

export interface Chat {
  /** The messages as text up to where the assistant's answer begins. */
  prompt(messages: readonly Message[]): string;
  /** The whole conversation as text, and the character ranges that are the assistant's. */
  conversation(messages: readonly Message[]): Conversation;
}

export interface Conversation {
  readonly text: string;
  readonly spans: readonly (readonly [from: number, to: number])[];
}

/** Steps of a conversation's renderings: the longest known template takes about a hundred a message, and each message may be rendered with all before it. */
const stepsFor = (messages: readonly Message[]): number => Math.min(1e7, 6e5 + 4e4 * messages.length);

/** Private-use characters that stand for the borders of a {% generation %} block while it is rendered. */
const OPEN = '\uF8FE\uF8F0';
const CLOSE = '\uF8FE\uF8F1';
const GENERATION_TAG = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

/** Throws a fault when the template isn't Jinja that can be read; so does rendering, when the template refuses a conversation. */
export function openChat(template: string, specialTokens: Tokenizer['specialTokens']): Chat {
  const plain = compile(template);
  const marked = /\{%-?\s*generation\s*-?%\}/.test(template) ? compile(markGenerations(template)) : null;
  const render = (template: Render, messages: readonly Message[], ask: boolean, budget: Budget): string => {
    try {
      const variables = { ...specialTokens, messages: messages.map((message) => ({ ...message })), add_generation_prompt: ask, tools: null, documents: null };
      return template(variables, budget);
    } catch (error) {
      const remedy =
        error instanceof TooMuch ? 'Shorten the conversation, repair the template, or use --chat never.' : 'Correct the messages, or use --chat never.';
      return refuse('bad-data', `The chat template can't render this conversation: ${reason(error)}.`, remedy);
    }
  };
  return {
    prompt: (messages) => render(plain, messages, true, { steps: stepsFor(messages) }),
    conversation: (messages) => {
      const budget = { steps: stepsFor(messages) };
      if (marked !== null) return byMarks(render(marked, messages, false, budget));
      return byPrefixes(messages, (part, ask) => render(plain, part, ask, budget), budget);
    },
  };
}

function compile(template: string): Render {
  try {
    return boundedTemplate(template);
  } catch (error) {
    return refuse(
      'bad-file',
      `The checkpoint's chat template can't be read: ${reason(error)}.`,
      'Repair chat_template in tokenizer_config.json, or use --chat never.',
    );
  }
}

function reason(error: unknown): string {
  if (error instanceof RangeError && error.message.includes('call stack')) return 'it goes too deep into itself';
  const message = (error instanceof Error ? error.message : String(error)).replace(/\.\s*$/, '');
  return message === '' ? 'it breaks off without a word' : message;
}

/** Writes marks into generation blocks; the tags around a mark keep the original's white space control on each side. */
function markGenerations(template: string): string {
  return template.replace(GENERATION_TAG, (_, left: string, end: string | undefined, right: string) =>
    end === undefined
      ? `{%${left} if true %}{{ '${OPEN}' }}{% endif %}{% if true ${right}%}`
      : `{%${left} endif %}{% if true %}{{ '${CLOSE}' }}{% endif ${right}%}`,
  );
}

function byMarks(rendered: string): Conversation {
  const spans: [number, number][] = [];
  let text = '';
  let from: number | null = null;
  for (const piece of rendered.split(/(\uF8FE[\uF8F0\uF8F1])/)) {
    if (piece === OPEN) from = text.length;
    else if (piece === CLOSE) {
      if (from !== null) spans.push([from, text.length]);
      from = null;
    } else text += piece;
  }
  return { text, spans };
}

function byPrefixes(messages: readonly Message[], render: (part: readonly Message[], ask: boolean) => string, budget: Budget): Conversation {
  const prefixLength = (part: () => string): number | null => lengthOfPrefix(text, part, budget);
  const text = render(messages, false);
  const spans: [number, number][] = [];
  let reached = 0;
  messages.forEach((message, at) => {
    if (message.role !== 'assistant') return;
    // A template may treat a message differently when others follow (dropping earlier thoughts), or refuse a conversation cut short.
    const from = prefixLength(() => render(messages.slice(0, at), true)) ?? prefixLength(() => render(messages.slice(0, at), false));
    const to = prefixLength(() => render(messages.slice(0, at + 1), false));
    if (from !== null && to !== null) {
      spans.push([from, to]);
      reached = to;
      return;
    }
    const content = message.content.trim();
    const found = text.indexOf(content, Math.max(reached, from ?? 0));
    if (found < 0)
      refuse(
        'bad-data',
        `The chat template leaves out or rewrites message ${at}, so the assistant's tokens can't be found.`,
        'Give the row as "input_ids" with "labels".',
      );
    spans.push([found, found + content.length]);
    reached = found + content.length;
  });
  return { text, spans };
}

/** A template may refuse a conversation cut short, but what is too much stays too much. */
function lengthOfPrefix(text: string, render: () => string, budget: Budget): number | null {
  try {
    const part = render();
    return text.startsWith(part) ? part.length : null;
  } catch (error) {
    if (!(error instanceof FaultError) || budget.steps < 0) throw error;
    return null;
  }
}
