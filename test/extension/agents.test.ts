import fs from 'node:fs';
import { expect } from 'chai';
import { z } from 'zod';
import { input, recipeOf } from '../../src/engine/agent/start-run';
import type { AgentHost, AgentTool } from '../../src/engine/agent/tool';
import { agentTools } from '../../src/engine/agent/tools';
import { offered } from '../../src/extension/agents/offered';
import { unwrap } from '../../src/protocol/fault';
import { resolveRecipe } from '../../src/protocol/recipe';

const readJson = (file: string) => JSON.parse(fs.readFileSync(file, 'utf8'));

/** What package.json must say of a tool; the dialect's name is left out, which VS Code does not take. */
function declarationOf({ name, title, description, input: schema }: AgentTool): object {
  const { $schema: _dialect, ...inputSchema } = z.toJSONSchema(schema, { io: 'input' });
  return {
    name: `uoe_${name}`,
    toolReferenceName: `uoe-${name.replaceAll('_', '-')}`,
    displayName: title,
    modelDescription: description,
    userDescription: title,
    canBeReferencedInPrompt: true,
    icon: '$(circuit-board)',
    inputSchema,
  };
}

describe('tools for agents', () => {
  const { contributes } = readJson('package.json') as {
    contributes: { languageModelTools: Record<string, unknown>[]; mcpServerDefinitionProviders: { id: string }[] };
  };
  const english = readJson('package.nls.json') as Record<string, string>;
  const german = readJson('package.nls.de.json') as Record<string, string>;
  const said = (value: unknown, strings: Record<string, string>) => (typeof value === 'string' && /^%.*%$/.test(value) ? strings[value.slice(1, -1)] : value);

  it('are declared in package.json as the engine takes them, all but the export', () => {
    const declared = contributes.languageModelTools.map((entry) =>
      Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, said(value, english)])),
    );
    const tools = agentTools.filter(({ name }) => name in offered);
    expect(declared).to.deep.equal(tools.map(declarationOf));
    expect(offered).to.deep.equal(Object.fromEntries(tools.map(({ name, title, readOnly }) => [name, { title, writes: !readOnly }])));
    expect(declared.map(({ name }) => name))
      .to.include('uoe_attribute')
      .and.include('uoe_start_run')
      .and.not.include('uoe_export_run');
    for (const entry of contributes.languageModelTools) expect(said(entry.displayName, german), String(entry.name)).to.be.a('string').and.not.equal('');
    expect(contributes.mcpServerDefinitionProviders.map(({ id }) => id)).to.deep.equal(['uoe.mcp']);
  });

  it('say whether they write, and are named for both ways to call them', () => {
    expect(agentTools.filter(({ readOnly }) => !readOnly).map(({ name }) => name)).to.deep.equal(['start_run', 'export_run']);
    for (const { description, readOnly } of agentTools) expect(description.endsWith('Reads only.')).to.equal(readOnly);
  });

  it('make a recipe: fields given win over the preset, the preset over the rest; the open model is taken when none is named', () => {
    const host = { workspace: '/w', openModel: '/m/open' } as AgentHost;
    const recipe = recipeOf(
      input.parse({
        forget: 'f.jsonl',
        retain: 'r.jsonl',
        preset: 'demo-rmu',
        steps: 7,
        lr: 0.5,
        anchorWeight: 2,
        target: { layer: 2, expert: 3 },
        recipe: { seed: 9, steps: 3 },
      }),
      host,
    );
    const { recipe: filled } = unwrap(resolveRecipe(recipe));
    expect(filled).to.deep.include({ model: '/m/open', method: 'rmu', steps: 7, seed: 9, target: { layer: 2, expert: 3 } });
    expect(filled.methodOptions).to.deep.include({ retainWeight: 30 });
    expect(filled.optimizer).to.deep.include({ lr: 0.5, clipNorm: 1 });
    expect(filled.anchor.weight).to.equal(2);
    expect(recipeOf(input.parse({ model: 'sub/model', forget: 'f' }), host).model).to.match(/[\\/]w[\\/]sub[\\/]model$/);
    expect(() => recipeOf(input.parse({}), host)).to.throw('Nothing was named to forget.');
  });
});
