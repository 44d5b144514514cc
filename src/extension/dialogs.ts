/** VS Code's own dialogs for what the workbench needs: folders, data files, places to export to, a target. */
import * as vscode from 'vscode';
import { expertName, fraction, percent, times } from '../protocol/numbers';
import type { ExpertId } from '../protocol/records';
import type { DataRole, exportForms, HeatmapFigures } from '../protocol/workbench';
import { ask, choose } from './notices';
import { ranking } from './workbench/heatmap';

export const severalFiles: readonly DataRole[] = ['forget', 'stopUtility', 'evaluateUtility'];

/** At call time: the language is known by then. */
const questionOf = (role: DataRole): string =>
  ({
    forget: vscode.l10n.t('What to forget'),
    retain: vscode.l10n.t('What to keep'),
    stopForget: vscode.l10n.t('Forget questions that early stopping looks at'),
    stopUtility: vscode.l10n.t('Other questions that early stopping looks at'),
    evaluateForget: vscode.l10n.t('Questions on the forget topic, measured before and after'),
    evaluateNear: vscode.l10n.t('Questions on a near topic, measured before and after'),
    evaluateUtility: vscode.l10n.t('Questions on other topics, measured before and after'),
  })[role];

export async function askForCheckpoint(): Promise<vscode.Uri | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    canSelectFiles: false,
    canSelectFolders: true,
    title: vscode.l10n.t('Checkpoint folder (config.json and safetensors files)'),
    openLabel: vscode.l10n.t('Open Checkpoint'),
  });
  return chosen?.[0];
}

export async function askForData(role: DataRole, start: vscode.Uri | undefined): Promise<readonly vscode.Uri[]> {
  const chosen = await vscode.window.showOpenDialog({
    title: questionOf(role),
    defaultUri: start,
    canSelectMany: severalFiles.includes(role),
    filters: { [vscode.l10n.t('Data')]: ['jsonl', 'json', 'csv', 'parquet', 'txt', 'md'] },
    openLabel: vscode.l10n.t('Use'),
  });
  return chosen ?? [];
}

/** The forget questions in other words. */
export async function askForParaphrases(): Promise<vscode.Uri | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('The forget questions in other words'),
    filters: { [vscode.l10n.t('Data')]: ['jsonl', 'json', 'csv', 'parquet', 'txt', 'md'] },
    openLabel: vscode.l10n.t('Use'),
  });
  return chosen?.[0];
}

/** Which questions a data file holds. */
export async function askForQuestions(): Promise<DataRole | undefined> {
  const roles: readonly DataRole[] = ['evaluateForget', 'evaluateNear', 'evaluateUtility', 'stopForget', 'stopUtility'];
  const choices = roles.map((role) => ({ label: questionOf(role), role }));
  return (await choose(choices, { title: vscode.l10n.t('UOE: Use as Questions') }))?.role;
}

export type AskedForm = (typeof exportForms)[number];

export async function askForExport(form: AskedForm, start: vscode.Uri): Promise<vscode.Uri | undefined> {
  const dialogs: Readonly<Record<AskedForm, vscode.SaveDialogOptions>> = {
    patch: { title: vscode.l10n.t('Save the patch'), filters: { Safetensors: ['safetensors'] }, saveLabel: vscode.l10n.t('Save Patch') },
    checkpoint: { title: vscode.l10n.t('Name a new folder for the checkpoint'), saveLabel: vscode.l10n.t('Export Checkpoint') },
    report: { title: vscode.l10n.t('Save the report'), filters: { HTML: ['html'] }, saveLabel: vscode.l10n.t('Save Report') },
    experts: { title: vscode.l10n.t('Save the expert list'), filters: { JSON: ['json'] }, saveLabel: vscode.l10n.t('Save Expert List') },
  };
  return vscode.window.showSaveDialog({ ...dialogs[form], defaultUri: start });
}

export async function askForForm(): Promise<AskedForm | undefined> {
  const choices: readonly (vscode.QuickPickItem & { readonly form: AskedForm })[] = [
    { label: vscode.l10n.t('Full checkpoint'), description: vscode.l10n.t('a complete copy that other tools load'), form: 'checkpoint' },
    { label: vscode.l10n.t('Patch'), description: vscode.l10n.t('only the changed tensors'), form: 'patch' },
    { label: vscode.l10n.t('Report'), description: vscode.l10n.t('one HTML page with every score'), form: 'report' },
    { label: vscode.l10n.t('Expert list'), description: vscode.l10n.t('the target in ESFT’s JSON form'), form: 'experts' },
  ];
  return (await choose(choices, { title: vscode.l10n.t('UOE: Export') }))?.form;
}

/** Experts of all layers shown before those of each layer. */
const bestShown = 10;

/** The best of all layers first, then layer by layer, each by affinity. */
export async function askForTarget(figures: HeatmapFigures): Promise<ExpertId | undefined> {
  const all = figures.layers.length * figures.experts;
  const rows = ranking(figures, all).map((row) => ({
    label: `$(target) ${expertName(row)}`,
    description: `${fraction(row.affinity)} · ${times(row.timesEqual)}`,
    detail: vscode.l10n.t('rank {0} of {1}, share {2}', row.rank, all, percent(row.share)),
    id: { layer: row.layer, expert: row.expert },
  }));
  const separator = (label: string) => ({ label, kind: vscode.QuickPickItemKind.Separator, id: undefined });
  const layers = figures.layers.flatMap((layer) => {
    const own = rows.slice(bestShown).filter(({ id }) => id.layer === layer);
    return own.length === 0 ? [] : [separator(vscode.l10n.t('Layer {0}', layer)), ...own];
  });
  const items = [separator(vscode.l10n.t('Best of all layers')), ...rows.slice(0, bestShown), ...layers];
  const chosen = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t('Target expert'),
    matchOnDescription: true,
    placeHolder: vscode.l10n.t('Type to filter, such as L2 or E10'),
  });
  return chosen?.id;
}

/** True when the user says so. */
async function confirmed(question: string, detail: string, yes: string): Promise<boolean> {
  return (await ask(question, detail, yes)) === yes;
}

export const confirmDiscard = (): Promise<boolean> =>
  confirmed(
    vscode.l10n.t('Stop the run and discard its result?'),
    vscode.l10n.t('The steps stay in the run history; no patch is kept.'),
    vscode.l10n.t('Stop and Discard'),
  );

export const confirmApply = (run: number, model: string): Promise<boolean> =>
  confirmed(
    vscode.l10n.t('Apply run {0} to the checkpoint of {1}?', run, model),
    vscode.l10n.t('The weights on disk are changed. The originals are kept beside them, and “Restore original” brings back their very bytes.'),
    vscode.l10n.t('Apply to Checkpoint'),
  );

export const confirmRestore = (model: string): Promise<boolean> =>
  confirmed(
    vscode.l10n.t('Restore the original checkpoint of {0}?', model),
    vscode.l10n.t('Each file is verified by SHA-256 before it is put back. The run stays in the history and can be applied again.'),
    vscode.l10n.t('Restore Original'),
  );

/** Where there is no trash. */
export const confirmPermanent = (run: number): Promise<boolean> =>
  confirmed(
    vscode.l10n.t('There is no trash here. Delete run {0} permanently?', run),
    vscode.l10n.t('This can not be undone.'),
    vscode.l10n.t('Delete Permanently'),
  );

export const confirmDelete = (run: number): Promise<boolean> =>
  confirmed(
    vscode.l10n.t('Delete run {0}?', run),
    vscode.l10n.t('Its folder with steps, scores and patch is moved to the trash. Checkpoints that were exported from it stay.'),
    vscode.l10n.t('Move to Trash'),
  );
