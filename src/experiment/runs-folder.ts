import path from 'node:path';

/** Where a workspace keeps its runs. */
export const runsFolder = (workspace: string): string => path.join(workspace, '.uoe', 'runs');
