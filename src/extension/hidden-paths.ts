/** The page is shown to others and runs apart from this machine: it gets names, not where they lie. */
import * as path from 'node:path';

export interface Place {
  /** Absolute path. */
  readonly folder: string;
  /** What stands for it on the page; empty for the workspace. */
  readonly name: string;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Replaces the folders in a text, the longest first, by their names. A folder's own path at the end of a word becomes its name. */
export function withoutPaths(places: readonly Place[]): (text: string) => string {
  const known = [...places].filter(({ folder }) => folder.length > 1).sort((a, b) => b.folder.length - a.folder.length);
  if (known.length === 0) return (text) => text;
  const names = new Map(known.map(({ folder, name }) => [folder, name]));
  const pattern = new RegExp(`(${known.map(({ folder }) => escaped(folder)).join('|')})(?:([\\\\/])|(?![\\w-]))`, 'g');
  return (text) =>
    text.replace(pattern, (_, folder: string, separator?: string) => {
      const name = names.get(folder) ?? '';
      if (separator === undefined) return name || path.basename(folder);
      return name ? `${name}${separator}` : '';
    });
}
