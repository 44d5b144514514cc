/** What somebody let an agent do, beyond reading. */
import path from 'node:path';
import { realPath } from '../../files/folder';
import { refuse } from '../../protocol/fault';

export interface Grants {
  readonly runs: boolean;
  /** Absolute folders below which a result may be written. */
  readonly exports: readonly string[];
  /** How each is granted here, as the end of a sentence: `start the server with "uoe mcp --allow-runs"`. */
  readonly how: { readonly runs: string; readonly exports: (folder: string) => string };
}

/** The path with every link in it followed, as far as it exists. */
async function followed(at: string): Promise<string> {
  const real = await realPath(at);
  if (real.ok) return real.value;
  const parent = path.dirname(at);
  return parent === at ? at : path.join(await followed(parent), path.basename(at));
}

function isBelow(at: string, folder: string): boolean {
  const relative = path.relative(folder, at);
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export function requireRuns({ runs, how }: Grants): void {
  if (!runs) refuse('usage', 'Starting runs was not granted.', `${capital(how.runs)}.`);
}

/** The absolute place to write to; a 'usage' fault that names the grant where there is none. */
export async function requireExport({ exports, how }: Grants, workspace: string, to: string): Promise<string> {
  const wanted = await followed(path.resolve(workspace, to));
  for (const folder of exports) if (isBelow(wanted, await followed(path.resolve(workspace, folder)))) return wanted;
  return refuse('usage', `Writing ${wanted} was not granted.`, `${capital(how.exports(path.dirname(wanted)))}.`);
}
