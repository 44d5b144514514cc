/** What a report is made of: plain text in simple forms, and, for the page, step 4 of the workbench as it stands in the run folder. */
import type { AnswersFigures, RoutingFigures } from './comparison-view';
import type { ComparisonView } from './workbench';

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** What a cell shows; `best` is marked in a form's own way. */
export interface Cell {
  readonly text: string;
  readonly best?: boolean;
}

/** A value that is null, or not finite, breaks the line. */
export type Point = readonly [step: number, value: number | null];

/** A small line chart; x is the step. The series' kinds are told apart by colour and by dash. */
export interface Figure {
  readonly title: string;
  readonly series: readonly { readonly name: string; readonly kind: 'forget' | 'retain' | 'anchor'; readonly points: readonly Point[] }[];
  /** Fixed ends of y; from the data where left out. */
  readonly domain?: readonly [low: number, high: number];
}

/** All text is escaped when it is written. */
export type Block =
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'paragraph'; readonly text: string; readonly strong?: boolean }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly caption: string; readonly columns: readonly Column[]; readonly rows: readonly (readonly Cell[])[] }
  | { readonly kind: 'command'; readonly text: string }
  | { readonly kind: 'figures'; readonly figures: readonly Figure[] };

/** Float32Arrays as lists: the page is one text file. */
type Listed<T> = { readonly [K in keyof T]: T[K] extends Float32Array ? readonly number[] : T[K] };

/** The data that `uoe report RUN --html` puts into the page. */
export interface ReportPage {
  readonly title: string;
  readonly comparison: ComparisonView;
  readonly routing: Listed<RoutingFigures> | null;
  readonly answers: AnswersFigures | null;
  /** Why routing and answers are left out, in a sentence. */
  readonly left: string | null;
  /** What was edited, why this expert, the course, settings, time, how to repeat it. */
  readonly blocks: readonly Block[];
}
