/** What somebody let an agent do, beyond reading. */
import path from 'node:path';
import { historyOnce, resolveRun, runsFolder } from '../../experiment/history';
import { diskReader } from '../../experiment/run-reader';
import { realPath } from '../../files/folder';
import { refuse, unwrap } from '../../protocol/fault';

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

/** The folder of the runs, links followed; a 'usage' fault where it leads out of the workspace. */
async function ownRuns(workspace: string): Promise<string> {
  const root = await followed(runsFolder(workspace));
  if (isBelow(root, await followed(workspace))) return root;
  return refuse('usage', `${runsFolder(workspace)} leads out of the workspace, to ${root}.`, 'Start the run yourself, or replace the link by a folder.');
}

/** The id of the run of this workspace that is meant: what an agent names leads nowhere else, by a path or by a link. */
export async function requireOwnRun(workspace: string, run: string, history = historyOnce(diskReader, workspace)): Promise<string> {
  const name = run.trim();
  if (!/^(#?\d+|[A-Za-z0-9][\w.-]*)$/.test(name))
    return refuse('usage', `"${name}" is not the id or number of a run.`, 'list_runs names the runs of this workspace.');
  const root = await ownRuns(workspace);
  const folder = unwrap(await resolveRun(diskReader, workspace, name, runsFolder(workspace), history));
  const real = await followed(folder);
  if (path.dirname(real) !== root) return refuse('usage', `Run ${name} is a link to ${real}.`, 'list_runs names the runs of this workspace.');
  return path.basename(folder);
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Runs may be started, and what they write stays in the workspace. The id of the one to go on with, if one was named. */
export async function requireRuns({ runs, how }: Grants, workspace: string, resume: string | undefined): Promise<string | undefined> {
  if (!runs) refuse('usage', 'Starting runs was not granted.', `${capital(how.runs)}.`);
  if (resume !== undefined) return requireOwnRun(workspace, resume);
  await ownRuns(workspace);
  return undefined;
}

/** The absolute place to write to; a 'usage' fault that names the grant where there is none. */
export async function requireExport({ exports, how }: Grants, workspace: string, to: string): Promise<string> {
  const wanted = await followed(path.resolve(workspace, to));
  for (const folder of exports) if (isBelow(wanted, await followed(path.resolve(workspace, folder)))) return wanted;
  return refuse('usage', `Writing ${wanted} was not granted.`, `${capital(how.exports(path.dirname(wanted)))}.`);
}
