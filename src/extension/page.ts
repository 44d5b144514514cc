/** The webview's page, from the files in dist/. */
import * as vscode from 'vscode';
import { pageHtml } from './page-html';

export function pageOf(webview: vscode.Webview, dist: vscode.Uri): string {
  const file = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(dist, name)).toString();
  return pageHtml({
    source: webview.cspSource,
    language: vscode.env.language,
    style: file('webview.css'),
    script: file('webview.js'),
    texts: vscode.l10n.bundle ?? {},
  });
}
