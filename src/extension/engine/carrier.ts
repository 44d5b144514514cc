/** What carries messages to the engine. A file of its own, since a part of the bundle that is loaded later hands out only what an ES module names. */
export { CancellationTokenSource, createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
