/** What keeps data and strangers out of the editor: settings, trust, the page's policy, and places that would make more of a text than text. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { commandTable } from '../../src/extension/command-table';
import { pageHtml } from '../../src/extension/page-html';
import { withoutIcons, withoutLinks } from '../../src/extension/shown-text';
import { mapStrings, plainText } from '../../src/protocol/plain-text';

interface Manifest {
  readonly capabilities: { readonly untrustedWorkspaces: { readonly supported: unknown; readonly restrictedConfigurations: readonly string[] } };
  readonly contributes: {
    readonly configuration: {
      readonly properties: Readonly<
        Record<
          string,
          { readonly scope: string; readonly type: string; readonly enum?: unknown; readonly pattern?: string; readonly items?: { readonly pattern?: string } }
        >
      >;
    };
  };
}

const { capabilities, contributes } = JSON.parse(fs.readFileSync('package.json', 'utf8')) as Manifest;

const sourcesOf = (room: string): readonly (readonly [file: string, text: string])[] =>
  (fs.readdirSync(room, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file.replaceAll('\\', '/'), fs.readFileSync(path.join(room, file), 'utf8')] as const);

describe('Restricted Mode', () => {
  it('a workspace sets nothing until it is trusted, and no setting is free text that could name a program, but for what a job on a cluster runs', () => {
    expect(capabilities.untrustedWorkspaces.supported).to.equal('limited');
    const settings = Object.entries(contributes.configuration.properties);
    expect(capabilities.untrustedWorkspaces.restrictedConfigurations).to.have.members(settings.map(([name]) => name));
    for (const [name, { scope, type, enum: values, pattern, items }] of settings) {
      expect(['machine', 'machine-overridable'], name).to.include(scope);
      const isNoText = type === 'integer' || type === 'number' || values !== undefined || pattern !== undefined || items?.pattern !== undefined;
      expect(isNoText, name).to.equal(!/^uoe\.slurm\.(preamble|wrapper|program)$/.test(name));
    }
  });

  it('only commands that show what the window knows already are left', () => {
    const free = commandTable.filter((entry) => !('enablement' in entry && entry.enablement.includes('isWorkspaceTrusted'))).map(({ id }) => id);
    expect(free).to.deep.equal(['uoe.showWorkbench', 'uoe.showComparison', 'uoe.chooseTarget', 'uoe.useAsTarget', 'uoe.openPrompt', 'uoe.showLog']);
  });
});

describe('the page of the workbench', () => {
  const parts = { source: 'https://*.example', language: 'de', style: 'https://a.example/s.css', script: 'https://a.example/w.js', texts: {} };

  it('lets in one script by a number used once and one style sheet, nothing inline, nothing evaluated', () => {
    const [one, two] = [pageHtml(parts), pageHtml(parts)];
    const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(one)?.[1] ?? '';
    expect(policy).to.match(
      /^default-src 'none'; base-uri 'none'; form-action 'none'; style-src \S+ 'sha256-47DEQpj8HBSa\+\/TImW\+5JCeuQeRkm5NMpJWZG3hSuFU='; font-src \S+; img-src \S+ data:; script-src 'nonce-[0-9a-f]{32}'$/,
    );
    expect(policy).to.not.include('unsafe');
    const nonce = /'nonce-([0-9a-f]+)'/.exec(policy)?.[1] ?? '';
    expect(one).to.include(`<script nonce="${nonce}" src="https://a.example/w.js"></script>`);
    expect(two).to.not.include(nonce);
    expect(one).to.not.match(/<style|\sstyle=|\son\w+=|javascript:/i);
  });

  it('translated texts can end no element and add none', () => {
    fc.assert(
      fc.property(fc.oneof(fc.constant('</script><script>alert(1)</script>'), fc.string({ unit: 'binary', maxLength: 40 })), (text) => {
        const page = pageHtml({ ...parts, language: `"><script>${text}`, texts: { [text]: text } });
        expect(page.match(/<[a-z!/]/gi)).to.deep.equal(pageHtml(parts).match(/<[a-z!/]/gi));
      }),
    );
  });

  it('is drawn without HTML from data', () => {
    for (const [file, text] of sourcesOf('webview'))
      expect(text, file).to.not.match(/unsafeHTML|unsafeSVG|unsafeStatic|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function/);
  });
});

describe('text from data', () => {
  const link = '[Update](command:workbench.action.terminal.new)';

  it('makes no link in a notification and no picture in the status bar or a list', () => {
    expect(withoutLinks(`The model ${link} has no config.json.`)).to.equal('The model [Update] (command:workbench.action.terminal.new) has no config.json.');
    expect(withoutIcons('$(error) broken $(sync~spin) cost $(12')).to.equal('\\$(error) broken \\$(sync~spin) cost $(12');
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'[]()$a:\u202e\u001b') }), (text) => {
        expect(withoutLinks(text)).to.not.match(/\]\(|\p{Cc}|\u202e/u);
        expect(withoutIcons(text)).to.not.match(/(?<!\\)\$\([\w-]+\)|\p{Cc}|\u202e/u);
      }),
    );
  });

  it('reaches notifications and lists through one door alone', () => {
    for (const [file, text] of sourcesOf('src/extension')) {
      if (file === 'notices.ts') continue;
      expect(text, file).to.not.match(/window\.show(Error|Warning|Information)Message/);
      // Experts to choose from: names and figures of ours, with pictures.
      if (file !== 'dialogs.ts') expect(text, file).to.not.match(/window\.showQuickPick/);
      expect(text, file).to.not.match(/isTrusted\s*=(?!\s*false)|isTrusted:\s*true|supportHtml\s*=\s*true|enableCommandUris/);
    }
    expect(fs.readFileSync('src/extension/dialogs.ts', 'utf8').match(/window\.showQuickPick/g)).to.have.length(1);
  });

  it('shows what would hide or turn it, in every string of what the page gets, names of fields too', () => {
    const hostile = 'safe\u202egpj.exe\u001b[2J\u0000\u2066';
    const state = { name: hostile, topics: { [hostile]: 1 }, list: [1, [hostile]], figures: Float32Array.of(1) };
    const shown = mapStrings(state, plainText);
    expect(JSON.stringify(shown)).to.not.match(/[\u202e\u2066]|\\u001b(?!\[2J\\\\)|\\u0000(?!\\)/);
    expect(shown.list).to.deep.equal([1, ['safe\\u202egpj.exe\\u001b[2J\\u0000\\u2066']]);
    expect(Object.keys(shown.topics)).to.deep.equal(['safe\\u202egpj.exe\\u001b[2J\\u0000\\u2066']);
    expect(shown.figures).to.equal(state.figures);
  });
});
