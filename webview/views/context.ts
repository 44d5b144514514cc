/** What every view gets: the host's state, the figures beside it, its own memory, and how to ask for something. */

import type { StepRecord } from '../../src/protocol/records';
import type { WebviewMessage } from '../../src/protocol/webview-message';
import type { EffectFigures, HeatmapFigures, WebviewMemory, WorkbenchState } from '../../src/protocol/workbench';
import type { Theme } from '../heatmap/colour';
import type { ComparisonDrawing } from './compare/drawing';

export interface ViewContext {
  readonly state: WorkbenchState;
  readonly figures: HeatmapFigures | null;
  /** Null until effects were measured. */
  readonly effects: EffectFigures | null;
  readonly steps: readonly StepRecord[];
  readonly memory: WebviewMemory;
  readonly theme: Theme;
  /** Width of the page in CSS pixels. */
  readonly width: number;
  readonly send: (message: WebviewMessage) => void;
  readonly remember: (change: Partial<WebviewMemory>) => void;
  /** The heatmap's element, kept over redraws. */
  readonly heatmap: HTMLElement;
  readonly heatmapCounts: { readonly never: number; readonly rare: number; readonly beyond: number };
  /** Cell under the cursor, as an index into the figures that are shown. */
  readonly cursor: number | null;
  /** VS Code's id of the colour theme. */
  readonly themeId: string;
  readonly compare: ComparisonDrawing;
  /** Elements that keep their own place over redraws: the forget prompts, and the tokens of one. */
  readonly promptList: HTMLElement;
  readonly tokenStrip: HTMLElement;
}

/** From here on, two columns. */
export const wide = 1080;
