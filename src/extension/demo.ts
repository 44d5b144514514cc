/** The demo that comes inside the extension: checkpoint, data, and the recipe that names them. */
import * as vscode from 'vscode';
import type { Result } from '../protocol/fault';
import { type OpenedRecipe, openRecipeFile } from './recipe-file';
import { demoPreset } from './workbench/plan';

export const demoName = 'UOE demo model';

export const readDemo = (extension: vscode.Uri): Promise<Result<OpenedRecipe>> =>
  openRecipeFile(vscode.Uri.joinPath(extension, 'demo', 'recipe.uoe.json'), demoPreset, 'demo/');
