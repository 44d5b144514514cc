/** Which tools VS Code's chat has, and what package.json must declare of each; a test compares the two. */
import { z } from 'zod';
import type { AgentTool } from '../../engine/agent/tool';

/** Writing elsewhere than into .uoe/runs is a person's to do. */
export const isOffered = ({ name }: Pick<AgentTool, 'name'>): boolean => name !== 'export_run';

export const toolName = ({ name }: Pick<AgentTool, 'name'>): string => `uoe_${name}`;

/** As in an MCP client; without the dialect's name, which package.json does not take. */
export function inputSchemaOf({ input }: Pick<AgentTool, 'input'>): object {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(input, { io: 'input' });
  return schema;
}

export const declarationOf = (tool: AgentTool): object => ({
  name: toolName(tool),
  toolReferenceName: toolName(tool).replaceAll('_', '-'),
  displayName: tool.title,
  modelDescription: tool.description,
  userDescription: tool.title,
  canBeReferencedInPrompt: true,
  icon: '$(circuit-board)',
  inputSchema: inputSchemaOf(tool),
});
