/** The webview's page: one script and one style sheet from dist/, under a policy that lets nothing else in. */
import * as vscode from 'vscode';

function nonce(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function pageOf(webview: vscode.Webview, dist: vscode.Uri): string {
  const script = nonce();
  const file = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(dist, name)).toString();
  const policy = [
    "default-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    `style-src ${webview.cspSource}`,
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data:`,
    `script-src 'nonce-${script}'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="${vscode.env.language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>UOE</title>
<link rel="stylesheet" href="${file('webview.css')}">
</head>
<body>
<div id="workbench"></div>
<script type="application/json" id="texts">${JSON.stringify(vscode.l10n.bundle ?? {}).replaceAll('<', '\\u003c')}</script>
<script nonce="${script}" src="${file('webview.js')}"></script>
</body>
</html>`;
}
