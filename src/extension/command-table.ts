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
const result = 'isWorkspaceTrusted && uoe.hasComparison && !uoe.running';

export const commandTable = [
  { id: 'uoe.openCheckpoint', title: 'UOE: Open Checkpoint', icon: '$(folder-opened)', enablement: idle, withoutEngine: 'starts one' },
  { id: 'uoe.useDemo', title: 'Use the Demo Model', enablement: idle, withoutEngine: 'starts one' },
  { id: 'uoe.runRecipe', title: 'UOE: Run Recipe', icon: '$(play)', enablement: idle, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.unlearnSelection', title: 'UOE: Unlearn Selection', enablement: idle, withoutEngine: 'keeps the selection until a checkpoint is open' },
  { id: 'uoe.useAsForgetSet', title: 'UOE: Use as Forget Set', enablement: idle, withoutEngine: 'keeps the files until a checkpoint is open' },
  { id: 'uoe.useAsRetainSet', title: 'UOE: Use as Retain Set', enablement: idle, withoutEngine: 'keeps the files until a checkpoint is open' },
  { id: 'uoe.useAsQuestions', title: 'UOE: Use as Questions', enablement: idle, withoutEngine: 'keeps the files until a checkpoint is open' },
  { id: 'uoe.showWorkbench', title: 'Show Workbench', icon: '$(circuit-board)', withoutEngine: 'shows what is known' },
  { id: 'uoe.findExpert', title: 'Find Expert', enablement: 'isWorkspaceTrusted && uoe.hasModel', withoutEngine: 'shows what was read' },
  { id: 'uoe.planRun', title: 'Plan Unlearning', enablement: 'isWorkspaceTrusted && uoe.hasAttribution', withoutEngine: 'starts one' },
  { id: 'uoe.showComparison', title: 'Show Before and After', enablement: 'uoe.hasComparison', withoutEngine: 'shows what was read' },
  { id: 'uoe.discardResult', title: 'Discard Result', enablement: result, withoutEngine: 'drops the result of the run that is shown' },
  { id: 'uoe.restoreOriginal', title: 'Restore Original Checkpoint…', enablement: result, withoutEngine: 'starts one' },
  {
    id: 'uoe.chooseTarget',
    title: 'Choose Target Expert',
    icon: '$(target)',
    enablement: 'uoe.hasAttribution && !uoe.running',
    withoutEngine: 'lists the experts that were read',
  },
  { id: 'uoe.useAsTarget', title: 'Use as Target', icon: '$(target)', enablement: '!uoe.running', palette: 'false', withoutEngine: 'sets the target' },
  { id: 'uoe.addPrompts', title: 'Add Forget Prompts…', icon: '$(add)', enablement: idle, withoutEngine: 'keeps the files until a checkpoint is open' },
  { id: 'uoe.addSelection', title: 'Add Selection to Forget Prompts', enablement: idle, withoutEngine: 'keeps the selection until a checkpoint is open' },
  {
    id: 'uoe.readPrompts',
    title: 'Read Prompts Again',
    icon: '$(refresh)',
    enablement: 'isWorkspaceTrusted && uoe.hasModel && !uoe.running',
    withoutEngine: 'starts one',
  },
  { id: 'uoe.removePrompts', title: 'Remove from Forget Prompts', icon: '$(trash)', enablement: idle, palette: 'false', withoutEngine: 'removes them' },
  { id: 'uoe.openPrompt', title: 'Open at Source', icon: '$(go-to-file)', palette: 'false', withoutEngine: 'opens the file' },
  { id: 'uoe.stopRun', title: 'Stop Run and Keep Best', icon: '$(debug-stop)', enablement: 'isWorkspaceTrusted && uoe.running', withoutEngine: 'nothing runs' },
  { id: 'uoe.showRun', title: 'Show Run', enablement: trusted, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.compareRun', title: 'Compare with…', icon: '$(compare-changes)', enablement: trusted, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.runAgain', title: 'Run Again', enablement: idle, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.resumeRun', title: 'Resume Run', icon: '$(debug-continue)', enablement: idle, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.exportRun', title: 'Export Run…', icon: '$(export)', enablement: idle, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.openReport', title: 'Open Report', enablement: trusted, palette: 'false', withoutEngine: 'starts one' },
  { id: 'uoe.openRunFolder', title: 'Show Run Folder', enablement: trusted, palette: 'false', withoutEngine: 'shows the folder' },
  { id: 'uoe.deleteRun', title: 'Delete Run…', enablement: idle, palette: 'false', withoutEngine: 'moves the folder to the trash' },
  { id: 'uoe.compareAnswers', title: 'Compare Answers', icon: '$(diff)', enablement: 'isWorkspaceTrusted && uoe.hasComparison', withoutEngine: 'starts one' },
  { id: 'uoe.startSweep', title: 'UOE: Start Sweep', icon: '$(run-all)', enablement: trusted, withoutEngine: 'the command line does it' },
  { id: 'uoe.dryRunSweep', title: 'UOE: Show What a Sweep Would Run', enablement: trusted, withoutEngine: 'the command line does it' },
  { id: 'uoe.showSweep', title: 'Show Table of a Sweep', icon: '$(table)', enablement: trusted, withoutEngine: 'reads the run folders' },
  { id: 'uoe.resumeSweep', title: 'Run the Rest', icon: '$(debug-continue)', enablement: trusted, palette: 'false', withoutEngine: 'the command line does it' },
  { id: 'uoe.runFailed', title: 'Run Failed Again', icon: '$(debug-rerun)', enablement: trusted, palette: 'false', withoutEngine: 'the command line does it' },
  { id: 'uoe.cancelSweep', title: 'Cancel Sweep…', icon: '$(debug-stop)', enablement: trusted, palette: 'false', withoutEngine: 'asks its runs to end' },
  { id: 'uoe.runTask', title: 'Run This Task Again', icon: '$(debug-rerun)', enablement: trusted, palette: 'false', withoutEngine: 'the command line does it' },
  { id: 'uoe.cancelTask', title: 'Cancel This Task', icon: '$(debug-stop)', enablement: trusted, palette: 'false', withoutEngine: 'asks its run to end' },
  { id: 'uoe.showTaskLog', title: 'Show Log of the Task', icon: '$(output)', enablement: trusted, palette: 'false', withoutEngine: 'opens the file' },
  { id: 'uoe.refreshRuns', title: 'Refresh Run History', icon: '$(refresh)', enablement: trusted, withoutEngine: 'starts one' },
  { id: 'uoe.setUpNative', title: 'Set Up Native Acceleration…', enablement: trusted, withoutEngine: 'starts one' },
  { id: 'uoe.restartEngine', title: 'Restart Engine', enablement: trusted, withoutEngine: 'starts one' },
  { id: 'uoe.showLog', title: 'Show Log', withoutEngine: 'shows the log' },
] as const satisfies readonly CommandEntry[];

export type CommandId = (typeof commandTable)[number]['id'];
