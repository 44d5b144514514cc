/** A chart that the page drew, saved where the user says. */
import * as vscode from 'vscode';
import type { FigureForm } from '../protocol/comparison-view';
import { type Fault, fail } from '../protocol/fault';

const filters: Readonly<Record<FigureForm, Readonly<Record<string, string[]>>>> = {
  svg: { 'Scalable Vector Graphics': ['svg'] },
  png: { 'Portable Network Graphics': ['png'] },
  csv: { 'Comma-separated values': ['csv'] },
};
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;
const pngStart = [0x89, 0x50, 0x4e, 0x47];

/** PNG comes as base64, the others as text; null for what is not of the form it says. */
export function figureBytes(form: FigureForm, content: string): Uint8Array | null {
  if (form !== 'png') return form === 'svg' && !content.startsWith('<svg') ? null : new TextEncoder().encode(content);
  if (!base64.test(content)) return null;
  const bytes = new Uint8Array(Buffer.from(content, 'base64'));
  return pngStart.every((byte, i) => bytes[i] === byte) ? bytes : null;
}

export async function saveFigure(
  { name, form, content }: { readonly name: string; readonly form: FigureForm; readonly content: string },
  folder: vscode.Uri,
  report: (fault: Fault) => void,
): Promise<void> {
  const bytes = figureBytes(form, content);
  if (!bytes) return report(fail('usage', `The page sent no ${form.toUpperCase()} image of "${name}".`, 'Reload the window and try again.').fault);
  const to = await vscode.window.showSaveDialog({
    title: vscode.l10n.t('Save the figure'),
    defaultUri: vscode.Uri.joinPath(folder, `${name}.${form}`),
    filters: { ...filters[form] },
    saveLabel: vscode.l10n.t('Save Figure'),
  });
  if (!to) return;
  try {
    await vscode.workspace.fs.writeFile(to, bytes);
  } catch (error) {
    report(
      fail('io', `The figure could not be written to ${to.fsPath}: ${error instanceof Error ? error.message : String(error)}.`, 'Choose another place.').fault,
    );
  }
}
