#!/usr/bin/env node
import '../engine/no-connections';
import { enforceMemoryLimit } from '../passes/memory-watch';
import { listenForInterrupt } from './interrupt';

const signal = listenForInterrupt();
enforceMemoryLimit();

// A reader that went away (`| head`) is no fault of the program.
process.stdout.on('error', () => process.exit(0));

// The program is loaded after the handler is in place, so that Ctrl-C is orderly from the start.
void import('./program').then(async ({ runProgram }) => {
  const code = await runProgram(process.argv.slice(2), signal);
  // Threads of the backend would keep the process alive.
  process.exit(code);
});
