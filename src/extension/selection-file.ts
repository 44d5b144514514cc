/** Selections, and files that come with the extension, as files of the workspace, so that a recipe can name them and a run can be repeated. */
import * as vscode from 'vscode';
import { fail, ok, type Result } from '../protocol/fault';
import { selectionFileName } from './workbench/selection';

async function exists(file: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(file);
    return true;
  } catch {
    return false;
  }
}

/** A name nobody has yet: -2, -3 before the extension for selections of the same second. */
async function freeName(folder: vscode.Uri, name: string): Promise<vscode.Uri> {
  const dot = name.lastIndexOf('.');
  for (let turn = 1; ; turn++) {
    const file = vscode.Uri.joinPath(folder, turn === 1 ? name : `${name.slice(0, dot)}-${turn}${name.slice(dot)}`);
    if (!(await exists(file))) return file;
  }
}

async function written(folder: vscode.Uri, work: () => Promise<vscode.Uri>): Promise<Result<string>> {
  try {
    await vscode.workspace.fs.createDirectory(folder);
    return ok((await work()).fsPath);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail('io', vscode.l10n.t('{0} could not be written: {1}', folder.fsPath, why), vscode.l10n.t('Check that the workspace can be written to.'));
  }
}

export async function saveSelection(workspace: vscode.Uri, text: string): Promise<Result<string>> {
  const folder = vscode.Uri.joinPath(workspace, '.uoe', 'selections');
  return written(folder, async () => {
    const file = await freeName(folder, selectionFileName(text, new Date()));
    await vscode.workspace.fs.writeFile(file, new TextEncoder().encode(text));
    return file;
  });
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, index) => byte === b[index]);

/** Copies `path` to `.uoe/data/name`; a copy with the same bytes is used again, another one is left as it is. */
export async function keepFile(workspace: vscode.Uri, path: string, name: string): Promise<Result<string>> {
  const folder = vscode.Uri.joinPath(workspace, '.uoe', 'data');
  return written(folder, async () => {
    const bytes = await vscode.workspace.fs.readFile(vscode.Uri.file(path));
    const plain = vscode.Uri.joinPath(folder, name);
    if ((await exists(plain)) && sameBytes(await vscode.workspace.fs.readFile(plain), bytes)) return plain;
    const file = await freeName(folder, name);
    await vscode.workspace.fs.writeFile(file, bytes);
    return file;
  });
}
