/**
 * The command line outside of the extension's own folder, which VS Code removes after an update: a sweep, or a cluster's queue, may begin its last
 * task days after it was started. A copy for each version, the newest few of which stay.
 */
import * as path from 'node:path';
import * as vscode from 'vscode';

/** Versions that sweeps still under way may have been started with. */
const keptVersions = 3;

/** `dist`: of the extension. Gives the file for node; copied when it is first asked for. */
export function keptProgram(dist: vscode.Uri, storage: vscode.Uri, version: string): () => Promise<string> {
  let made: Promise<string> | undefined;

  async function keep(): Promise<string> {
    const { fs } = vscode.workspace;
    const all = vscode.Uri.joinPath(storage, 'programs');
    // Of a version under development each build is another.
    const { mtime } = await fs.stat(vscode.Uri.joinPath(dist, 'cli.js'));
    const to = vscode.Uri.joinPath(all, `${version}-${mtime.toString(36)}`);
    const file = vscode.Uri.joinPath(to, 'cli.js').fsPath;
    const there = await fs.readDirectory(all).then(
      (entries) => entries.map(([name]) => name),
      (): string[] => [],
    );
    if (there.includes(path.basename(to.fsPath))) return file;
    const aside = vscode.Uri.joinPath(all, `.${process.pid}-${Date.now()}`);
    await fs.copy(dist, aside, { overwrite: true });
    // Another window may have been first.
    await fs.rename(aside, to, { overwrite: false }).then(undefined, () => fs.delete(aside, { recursive: true }));
    await removeOld(all, there);
    return file;
  }

  async function removeOld(all: vscode.Uri, names: readonly string[]): Promise<void> {
    const { fs } = vscode.workspace;
    const dated = await Promise.all(names.map(async (name) => ({ name, at: (await fs.stat(vscode.Uri.joinPath(all, name))).ctime })));
    const old = dated.sort((a, b) => b.at - a.at).slice(keptVersions - 1);
    for (const { name } of old) await fs.delete(vscode.Uri.joinPath(all, name), { recursive: true }).then(undefined, () => undefined);
  }

  return () => {
    // A disk that was full the last time may have room now.
    made ??= keep().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
