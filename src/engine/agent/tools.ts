/** Every tool that agents have, in the order they are listed. Adding one: its file, and its line here. */
import { attribute } from './attribute';
import { exportRun } from './export-run';
import { compareRuns, listRuns, readRun } from './runs';
import { startRun } from './start-run';
import type { AgentTool } from './tool';

export const agentTools: readonly AgentTool[] = [attribute, startRun, compareRuns, readRun, listRuns, exportRun];
