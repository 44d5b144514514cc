/** A recipe as the session carries it out: where it leaves backend, threads or memory open, the session's settings hold. */
import type { Session } from './call';

export function withSessionSettings({ settings }: Pick<Session, 'settings'>, recipe: unknown): unknown {
  if (typeof recipe !== 'object' || recipe === null || Array.isArray(recipe)) return recipe;
  const written = Object.fromEntries(Object.entries(recipe).filter(([, value]) => value !== null && value !== undefined));
  return { backend: settings.backend, threads: settings.threads, memory: settings.memory, ...written };
}
