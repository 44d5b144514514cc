/**
 * What lets messages of the page in: each is checked against its form, and a page that floods the host is held off. The page runs scripts of a
 * browser on data from strangers; nothing it does may block the host or fill its memory.
 */
import type { WebviewMessage } from '../protocol/webview-message';

export interface GateParts {
  /** zod's safeParse over the messages' form. */
  readonly parse: (raw: unknown) => { readonly success: true; readonly data: WebviewMessage } | { readonly success: false; readonly why: string };
  /** Does what a message asks; its promise ends with the work. */
  readonly act: (message: WebviewMessage) => Promise<void> | void;
  readonly warn: (text: string) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

export interface Gate {
  /** True where the message was let in. */
  take(raw: unknown): boolean;
  /** How many were refused since the start. */
  readonly refused: () => { readonly malformed: number; readonly flood: number };
}

/** Messages at once, and then a second. A person with a held key sends about thirty a second. */
const burst = 240;
const perSecond = 60;
/** Work of messages that has not ended. Beyond it only what ends work is let in. */
const mostPending = 32;
/** Prompts or characters of a message that count as one more message. */
const weighed = 8192;
/** A flood is over when nothing was refused for so long. */
const calmMs = 2000;

/** Cheap, and what a person needs to end work that the page began. */
const always: ReadonlySet<WebviewMessage['type']> = new Set(['cancel', 'steer', 'step', 'ready']);

/** What it takes to look at a message, told without looking at all of it. */
function weightOf(raw: unknown): number {
  if (typeof raw !== 'object' || raw === null) return 1;
  let size = 0;
  for (const name of ['prompts', 'content'] as const) {
    const value: unknown = (raw as Readonly<Record<string, unknown>>)[name];
    if (typeof value === 'string' || Array.isArray(value)) size += value.length;
  }
  return 1 + Math.floor(size / weighed);
}

export function createGate({ parse, act, warn, now = () => performance.now() }: GateParts): Gate {
  let tokens = burst;
  let filledAt = now();
  let pending = 0;
  let malformed = 0;
  let flood = 0;
  /** Since the last flood was told of; the first refusal speaks, and the first message after it says how many there were. */
  let unsaid = 0;
  let refusedAt = Number.NEGATIVE_INFINITY;

  function refuse(): false {
    flood++;
    if (unsaid++ === 0) warn('The page sends more messages than the host takes in; the rest is refused until it is calm.');
    refusedAt = now();
    return false;
  }

  function sayCalm(): void {
    if (unsaid === 0 || now() - refusedAt < calmMs) return;
    warn(`The page is calm again; ${unsaid} of its messages were refused.`);
    unsaid = 0;
  }

  return {
    take(raw) {
      const at = now();
      tokens = Math.min(burst, tokens + ((at - filledAt) / 1000) * perSecond);
      filledAt = at;
      sayCalm();
      const weight = Math.min(burst, weightOf(raw));
      if (tokens < weight) return refuse();
      tokens -= weight;
      const message = parse(raw);
      if (!message.success) {
        // Each is counted; what is said of them is bounded by what the bucket lets through.
        malformed++;
        if (malformed === 1 || malformed % 1000 === 0) warn(`Refused a message of the page: ${message.why}${malformed > 1 ? ` (${malformed} so far)` : ''}`);
        return false;
      }
      if (pending >= mostPending && !always.has(message.data.type)) return refuse();
      const work = act(message.data);
      if (!work) return true;
      pending++;
      void work.finally(() => {
        pending--;
      });
      return true;
    },
    refused: () => ({ malformed, flood }),
  };
}
