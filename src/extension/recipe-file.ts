/** A recipe file as what the workbench opens: its checkpoint, its values as a preset, its data files by role. */
import * as vscode from 'vscode';
import { fail, type Result } from '../protocol/fault';
import type { Recipe } from '../protocol/recipe';
import type { ExpertId } from '../protocol/records';
import type { DataRole } from '../protocol/workbench';
import type { Preset } from './workbench/plan';
import { fileSource, type Source, type Sources } from './workbench/sources';

export interface OpenedRecipe {
  readonly checkpoint: string;
  readonly preset: Preset;
  readonly sources: Sources;
  /** The one expert that the recipe names; null where it leaves the choice to the affinities, or names several. */
  readonly target: ExpertId | null;
}

const filesOf = (recipe: Recipe): Readonly<Record<DataRole, readonly (string | undefined)[]>> => ({
  forget: [recipe.forget],
  retain: [recipe.retain],
  stopForget: [recipe.checks?.forget],
  stopUtility: recipe.checks?.utility ?? [],
  evaluateForget: [recipe.evaluate?.forget],
  evaluateNear: [recipe.evaluate?.near],
  evaluateUtility: recipe.evaluate?.utility ?? [],
});

/** The only expert named. */
function namedTarget({ target }: Recipe): ExpertId | null {
  if (typeof target !== 'object') return null;
  if ('layer' in target) return target;
  return 'experts' in target && target.experts.length === 1 ? target.experts[0] : null;
}

const isAbsolute = (name: string): boolean => name.startsWith('/') || name.startsWith('\\\\') || /^[A-Za-z]:[\\/]/.test(name);

/** `place` is put before the file names that the page shows. */
export async function openRecipeFile(file: vscode.Uri, name: string, place = ''): Promise<Result<OpenedRecipe>> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(await vscode.workspace.fs.readFile(file)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail('bad-file', vscode.l10n.t('{0} could not be read: {1}', vscode.workspace.asRelativePath(file, false), why));
  }
  const { parseRecipe } = await import('../protocol/recipe');
  const parsed = parseRecipe(json);
  if (!parsed.ok) return parsed;
  const recipe = parsed.value;
  const absolute = (path: string) => (isAbsolute(path) ? path : vscode.Uri.joinPath(file, '..', path).fsPath);
  const sources = Object.entries(filesOf(recipe)).map(([role, names]): [string, Source[]] => [
    role,
    names.flatMap((path) => (path === undefined ? [] : [fileSource(absolute(path), `${place}${path}`)])),
  ]);
  return {
    ok: true,
    value: {
      checkpoint: absolute(recipe.model),
      preset: { name, recipe },
      sources: Object.fromEntries(sources) as unknown as Sources,
      target: namedTarget(recipe),
    },
  };
}
