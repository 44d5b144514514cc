/** The controls that views use. A kit is one file that implements this interface; only this folder knows which library is behind it. */
import type { TemplateResult } from 'lit';

export interface ButtonOptions {
  readonly label: string;
  /** Accessible name, where the label alone does not say what it acts on. */
  readonly name?: string;
  readonly onClick: () => void;
  readonly primary?: boolean;
  readonly disabled?: boolean;
  /** Name of a codicon. */
  readonly icon?: string;
}

export interface ChoiceOptions {
  readonly label: string;
  readonly value: string;
  readonly options: readonly { readonly value: string; readonly label: string }[];
  readonly onChange: (value: string) => void;
}

export interface TextOptions {
  readonly label: string;
  readonly value: string;
  /** Small text after the label. */
  readonly unit?: string;
  /** Called when the person has finished: Enter or leaving the field. Returns the text to show from now on. */
  readonly onCommit: (text: string) => string;
}

export interface SearchOptions {
  readonly label: string;
  readonly value: string;
  /** Called on every change. */
  readonly onInput: (text: string) => void;
}

export interface Column {
  readonly title: string;
  /** CSS grid width. */
  readonly width: string;
  readonly isNumber?: boolean;
}

export interface Row {
  readonly cells: readonly (string | TemplateResult)[];
  readonly selected?: boolean;
  readonly indented?: boolean;
  /** What a screen reader says for the row. */
  readonly label?: string;
}

export interface TableOptions {
  readonly label: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Below this many pixels it scrolls sideways inside its card. */
  readonly minWidth?: number;
}

export interface TabOptions {
  readonly label: string;
  readonly value: string;
  readonly tabs: readonly { readonly id: string; readonly label: string }[];
  /** What the chosen tab shows. */
  readonly body: TemplateResult | unknown;
  readonly onChange: (id: string) => void;
}

export interface Kit {
  button(options: ButtonOptions): TemplateResult;
  choice(options: ChoiceOptions): TemplateResult;
  numberField(options: TextOptions): TemplateResult;
  searchField(options: SearchOptions): TemplateResult;
  table(options: TableOptions): TemplateResult;
  tabs(options: TabOptions): TemplateResult;
}
