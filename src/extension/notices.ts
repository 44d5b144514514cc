/**
 * The one door to VS Code's notifications and their like. VS Code makes links of `[text](command:id)` in them and pictures of `$(name)`; what
 * stands in a sentence of ours may come from a file, a checkpoint or a model, and is text.
 */
import * as vscode from 'vscode';
import { plainText } from '../protocol/plain-text';
import { withoutIcons, withoutLinks } from './shown-text';

export const tellError = (text: string, ...answers: readonly string[]): Thenable<string | undefined> =>
  vscode.window.showErrorMessage(withoutLinks(text), ...answers);

export const tellWarning = (text: string, ...answers: readonly string[]): Thenable<string | undefined> =>
  vscode.window.showWarningMessage(withoutLinks(text), ...answers);

export const tell = (text: string, ...answers: readonly string[]): Thenable<string | undefined> =>
  vscode.window.showInformationMessage(withoutLinks(text), ...answers);

/** Asks in a dialog that must be answered; undefined where it is closed without an answer. */
export const ask = (question: string, detail: string, ...answers: readonly string[]): Thenable<string | undefined> =>
  vscode.window.showWarningMessage(withoutLinks(question), { modal: true, detail: withoutLinks(detail) }, ...answers);

/** As `ask`, where nothing can be lost. */
export const offer = (question: string, detail: string, ...answers: readonly string[]): Thenable<string | undefined> =>
  vscode.window.showInformationMessage(withoutLinks(question), { modal: true, detail: withoutLinks(detail) }, ...answers);

/** A list to choose from, its rows as text. */
export const choose = <T extends vscode.QuickPickItem>(rows: readonly T[], options: vscode.QuickPickOptions): Thenable<T | undefined> =>
  vscode.window.showQuickPick(
    rows.map((row) => ({
      ...row,
      label: withoutIcons(row.label),
      ...(row.description === undefined ? {} : { description: withoutIcons(row.description) }),
      ...(row.detail === undefined ? {} : { detail: withoutIcons(row.detail) }),
    })),
    { ...options, ...(options.title === undefined ? {} : { title: plainText(options.title) }) },
  );
