/** Tells VS Code of UOE's MCP server, for agents that speak MCP only: `uoe mcp` on the first workspace folder, reading alone. */
import * as vscode from 'vscode';

export const mcpProviderId = 'uoe.mcp';

export function registerMcpServer(cli: string, version: string): vscode.Disposable {
  return vscode.lm.registerMcpServerDefinitionProvider(mcpProviderId, {
    provideMcpServerDefinitions() {
      const folder = vscode.workspace.workspaceFolders?.[0];
      if (!folder || !vscode.workspace.isTrusted) return [];
      // process.execPath is Electron on a desktop and the server's own node on a remote.
      const server = new vscode.McpStdioServerDefinition(
        'UOE',
        process.execPath,
        [cli, 'mcp', '--workspace', folder.uri.fsPath],
        { ELECTRON_RUN_AS_NODE: '1' },
        version,
      );
      server.cwd = folder.uri;
      return [server];
    },
  });
}
