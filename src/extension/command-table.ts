/** Every command of the extension, as package.json must declare it; a test compares the two. */

export interface CommandEntry {
  readonly id: string;
  /** Shown after "UOE: ", which context menus leave out: commands that stand in one carry it in the title. */
  readonly title: string;
  readonly icon?: string;
  /** When it can be used; it is greyed out otherwise. */
  readonly enablement?: string;
  /** 'false' for commands that need a tree item. */
  readonly palette?: 'false';
  /** What it does while no engine runs. */
  readonly withoutEngine: string;
}

const trusted = 'isWorkspaceTrusted';
const idle = 'isWorkspaceTrusted && !uoe.running';

export const commandTable = [
  { id: 'uoe.openCheckpoint', title: 'UOE: Open Checkpoint', icon: '$(folder-opened)', enablement: idle, withoutEngine: 'starts one' },
  { id: 'uoe.useDemo', title: 'Use the Demo Model', enablement: idle, withoutEngine: 'starts one' },
  { id: 'uoe.unlearnSelection', title: 'UOE: Unlearn Selection', enablement: idle, withoutEngine: 'keeps the selection until a checkpoint is open' },
  { id: 'uoe.showWorkbench', title: 'Show Workbench', icon: '$(circuit-board)', withoutEngine: 'shows what is known' },
  {
    id: 'uoe.chooseTarget',
    title: 'Choose Target Expert',
    icon: '$(target)',
    enablement: 'uoe.hasAttribution && !uoe.running',
    withoutEngine: 'lists the experts that were read',
  },
  { id: 'uoe.useAsTarget', title: 'Use as Target', icon: '$(target)', enablement: '!uoe.running', palette: 'false', withoutEngine: 'sets the target' },
  { id: 'uoe.stopRun', title: 'Stop Run and Keep Best', icon: '$(debug-stop)', enablement: 'uoe.running', withoutEngine: 'nothing runs' },
  { id: 'uoe.showRun', title: 'Show Run', palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.resumeRun', title: 'Resume Run', icon: '$(debug-continue)', enablement: idle, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.exportRun', title: 'Export Run…', icon: '$(export)', enablement: idle, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.compareAnswers', title: 'Compare Answers', icon: '$(diff)', enablement: 'isWorkspaceTrusted && uoe.hasComparison', withoutEngine: 'starts one' },
  { id: 'uoe.refreshRuns', title: 'Refresh Run History', icon: '$(refresh)', enablement: trusted, withoutEngine: 'starts one' },
  { id: 'uoe.restartEngine', title: 'Restart Engine', enablement: trusted, withoutEngine: 'starts one' },
  { id: 'uoe.showLog', title: 'Show Log', withoutEngine: 'shows the log' },
] as const satisfies readonly CommandEntry[];

export type CommandId = (typeof commandTable)[number]['id'];
