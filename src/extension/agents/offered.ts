/** The tools that VS Code's chat has; writing elsewhere than into .uoe/runs is a person's to do. A test holds this list to the engine's and to package.json. */
export const offered: Readonly<Record<string, { readonly title: string; readonly writes: boolean }>> = {
  attribute: { title: 'Experts for these prompts', writes: false },
  start_run: { title: 'Start an unlearning run', writes: true },
  compare_runs: { title: 'Compare unlearning runs', writes: false },
  read_run: { title: 'Read an unlearning run', writes: false },
  list_runs: { title: 'List unlearning runs', writes: false },
};
