/** The page that VS Code shows: one script and one style sheet, under a policy that lets nothing else in. No vscode here. */

export interface PageParts {
  /** Where the webview's own files come from, as the policy names it. */
  readonly source: string;
  readonly language: string;
  /** Addresses of the style sheet and the script. */
  readonly style: string;
  readonly script: string;
  /** Translated texts. */
  readonly texts: object;
}

function nonce(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const attribute = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

/** Of nothing: the kit asks with an empty style element whether the browser knows :focus-visible. */
const emptyStyle = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";

export function pageHtml({ source, language, style, script, texts }: PageParts): string {
  const once = nonce();
  const policy = [
    "default-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    `style-src ${source} ${emptyStyle}`,
    `font-src ${source}`,
    `img-src ${source} data:`,
    `script-src 'nonce-${once}'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="${attribute(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>UOE</title>
<link rel="stylesheet" href="${attribute(style)}">
</head>
<body>
<div id="workbench"></div>
<script type="application/json" id="texts">${JSON.stringify(texts).replaceAll('<', '\\u003c')}</script>
<script nonce="${once}" src="${attribute(script)}"></script>
</body>
</html>`;
}
