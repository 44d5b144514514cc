import fs from 'node:fs';
import { expect } from 'chai';
import { commandTable } from '../../src/extension/command-table';

interface Contributed {
  readonly command: string;
  readonly title: string;
  readonly category?: string;
  readonly icon?: string;
  readonly enablement?: string;
}

interface Manifest {
  readonly contributes: {
    readonly commands: readonly Contributed[];
    readonly menus: Readonly<Record<string, readonly { readonly command: string; readonly when?: string }[]>>;
    readonly views: { readonly uoe: readonly { readonly id: string }[] };
    readonly viewsWelcome: readonly { readonly view: string; readonly contents: string }[];
  };
}

const strings: Readonly<Record<string, string>> = JSON.parse(fs.readFileSync('package.nls.json', 'utf8'));
/** With every %key% put in. */
const manifestText = fs.readFileSync('package.json', 'utf8').replace(/"%([\w.]+)%"/g, (whole, key: string) => JSON.stringify(strings[key] ?? whole));
const { contributes }: Manifest = JSON.parse(manifestText);
const ids = commandTable.map(({ id }) => id as string);

describe('command table', () => {
  it('is what package.json contributes', () => {
    const expected = commandTable.map((entry) => {
      const {
        id,
        title,
        icon,
        enablement,
        palette: _palette,
        withoutEngine: _without,
        ...none
      } = { icon: undefined, enablement: undefined, palette: undefined, ...entry };
      expect(none).to.deep.equal({});
      return JSON.parse(JSON.stringify({ command: id, title, category: title.startsWith('UOE: ') ? undefined : 'UOE', icon, enablement }));
    });
    expect(contributes.commands).to.deep.equal(expected);
  });

  it('hides from the palette what needs a tree item, and nothing else', () => {
    const hidden = contributes.menus.commandPalette.filter(({ when }) => when === 'false').map(({ command }) => command);
    expect(hidden).to.deep.equal(commandTable.filter((entry) => 'palette' in entry).map(({ id }) => id));
  });

  it('is all that menus and welcome texts refer to', () => {
    const used = Object.values(contributes.menus).flatMap((items) => items.map(({ command }) => command));
    const linked = contributes.viewsWelcome.flatMap(({ contents }) => [...contents.matchAll(/command:(uoe\.\w+)/g)].map(([, id]) => id));
    expect([...used, ...linked].filter((id) => !ids.includes(id))).to.deep.equal([]);
  });
});
