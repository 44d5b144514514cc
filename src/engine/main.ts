/** The engine's process: forked by the extension host, speaks the protocol over node IPC, ends when the host goes. */
import './no-connections';
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { enforceMemoryLimit } from '../passes/memory-watch';
import { serve } from './serve';
import { createSession } from './session';

enforceMemoryLimit();
const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));
const session = serve(connection, createSession);

// The connection's own `close` never fires in a child process. A run that is under way has journalled what it did.
process.on('disconnect', () => {
  void session.dispose().finally(() => process.exit(0));
  setTimeout(() => process.exit(0), 2000).unref();
});
connection.listen();
