/** The charts of a run: axes are fixed before data arrive, and grow by doubling only. */
import { html, nothing, type TemplateResult } from 'lit';
import { difference, fraction, loss, percent, setting, times } from '../../src/protocol/numbers';
import type { StepRecord } from '../../src/protocol/records';
import { forgetSeries, type RunSeries, retainSeries } from '../../src/protocol/run-series';
import type { RunView } from '../../src/protocol/workbench';
import { lineChart } from '../charts/line-chart';
import { doubledDomain, type Series } from '../charts/line-layout';
import { type SavedFigure, saveMenu } from '../charts/save-menu';
import { type ViewContext, wide } from './context';

interface ChartSeries {
  readonly name: Series['name'];
  /** Beside the value, where the chart has more than one. */
  readonly label?: string;
  readonly points: Series['points'];
}

interface Chart {
  readonly title: string;
  readonly note: string;
  readonly base: readonly [number, number];
  readonly fixed?: boolean;
  readonly series: readonly ChartSeries[];
  readonly limits?: readonly { readonly y: number; readonly text: string; readonly isBelow?: boolean }[];
  /** The current value. */
  readonly format: (value: number | null) => string;
  readonly axis: (value: number) => string;
}

/** Charts stand in two columns from 640 pixels on. */
function chartWidth(width: number): number {
  const card = width >= wide ? width - 48 - 336 : width - 32;
  const inner = card - 30;
  return Math.max(240, Math.floor(width >= 640 ? (inner - 20) / 2 : inner));
}

const plainAxis = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1)).replace('-', '−');

/** One decimal while the whole axis is below 10, so that 0.25 does not read as 0.3. */
const signedPercent = (value: number | null) => (value === null ? percent(null) : `${value > 0 ? '+' : ''}${percent(value, 2)}`.replace('-', '−'));

const over = (steps: readonly StepRecord[], values: readonly number[]): Series['points'] => steps.map(({ step }, index) => [step, values[index]]);
const read = (steps: readonly StepRecord[], value: (step: StepRecord) => number | null): Series['points'] =>
  steps.map((row) => [row.step, value(row) ?? Number.NaN]);

function formatsOf({ unit }: RunSeries, signed: boolean): Pick<Chart, 'format' | 'axis'> {
  if (unit === 'share') return { format: signedPercent, axis: (value) => percent(value, 0).replace('-', '−') };
  if (unit === 'times') return { format: times, axis: plainAxis };
  return { format: signed ? (value) => difference(value, 4) : loss, axis: plainAxis };
}

function checksChart({ checks, plan }: RunView): Chart {
  const later = (value: (check: RunView['checks'][number]) => number | null): Series['points'] =>
    checks.map((check) => [check.step, value(check) ?? Number.NaN]);
  const limit = plan?.forgetAtMost ?? null;
  const hasUtility = checks.some(({ utility }) => utility !== null);
  return {
    title: 'Checks',
    note: checks.length > 0 ? 'score of the stop sets' : 'no stop set, or none yet',
    base: [0, 1],
    fixed: true,
    series: [
      { name: 'forget', label: 'forget', points: later(({ forget }) => forget) },
      ...(hasUtility ? [{ name: 'retain' as const, label: 'utility', points: later(({ utility }) => utility) }] : []),
    ],
    limits: checks.length > 0 && limit !== null ? [{ y: limit, text: `stop at ${setting(limit)}` }] : [],
    format: fraction,
    axis: (value) => value.toFixed(2),
  };
}

function chartsOf(run: RunView, steps: readonly StepRecord[]): readonly Chart[] {
  const forget = forgetSeries(run.method, steps);
  const retain = retainSeries(steps);
  const [first] = steps;
  const twoDigits = (value: number) => value.toFixed(2);
  return [
    { title: 'Forget loss', note: forget.note, base: [0, 2], series: [{ name: 'forget', points: over(steps, forget.values) }], ...formatsOf(forget, false) },
    {
      title: 'Retain loss',
      note: retain.note,
      base: retain.unit === 'share' ? [0, 0.1] : [0, 1],
      series: [{ name: 'retain', points: over(steps, retain.values) }],
      ...formatsOf(retain, true),
    },
    {
      title: 'Anchor loss',
      note: run.plan ? `α ${setting(run.plan.anchorWeight)}` : '',
      base: [0, 1],
      series: [{ name: 'anchor', points: read(steps, ({ anchor }) => anchor) }],
      format: loss,
      axis: plainAxis,
    },
    checksChart(run),
    {
      title: 'Routing overlap',
      note: '',
      base: [0, 1],
      fixed: true,
      series: [
        { name: 'forget', label: 'forget', points: read(steps, ({ overlapForget }) => overlapForget) },
        { name: 'retain', label: 'retain', points: read(steps, ({ overlapRetain }) => overlapRetain) },
      ],
      format: fraction,
      axis: twoDigits,
    },
    {
      title: 'Target share',
      note: 'on forget text',
      base: [0, 1],
      fixed: true,
      series: [{ name: 'anchor', points: read(steps, ({ targetShare }) => targetShare) }],
      limits: first ? [{ y: first.targetShare, text: `start ${fraction(first.targetShare)}: below it the router is dodging`, isBelow: true }] : [],
      format: fraction,
      axis: twoDigits,
    },
  ];
}

const lastOf = (points: Series['points']): number | null => points.findLast(([, value]) => Number.isFinite(value))?.[1] ?? null;

/** A row a step, a column a series. */
function saved(title: string, series: Chart['series'], run: RunView): SavedFigure {
  const steps = [...new Set(series.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  const columns = series.map(({ points }) => new Map(points.map(([step, value]) => [step, value] as const)));
  return {
    name: `Run ${run.number} ${title}`,
    rows: () => [
      ['step', ...series.map(({ name, label }) => label ?? name)],
      ...steps.map((step) => [step, ...columns.map((values) => values.get(step) ?? null)]),
    ],
  };
}

function figure(
  { title, note, base, fixed, series, limits, format, axis }: Chart,
  { width, send }: ViewContext,
  run: RunView,
  mark: string | null,
): TemplateResult {
  const values = series.flatMap(({ points }) => points.map(([, value]) => value));
  const shown = series.map(({ label, points }) => ({ label, text: format(lastOf(points)) }));
  const step = Math.max(0, ...series.flatMap(({ points }) => points.at(-1)?.[0] ?? []));
  const said = shown.map(({ label, text }) => `${label ?? title.toLowerCase()} ${text}`).join(', ');
  return html`<figure>
    <figcaption>
      <span>${title} <small>${note}</small></span>
      <span class="values">${shown.map(({ label, text }) => html`${label ? html`<small>${label}</small>` : nothing}<b>${text}</b>`)}${saveMenu(saved(title, series, run), send)}</span>
    </figcaption>
    ${lineChart({
      width: chartWidth(width),
      height: width >= wide ? 168 : 132,
      lastStep: run.plannedSteps,
      domain: fixed ? base : doubledDomain(base, values),
      series: series.map(({ name, points }) => ({ name, points })),
      marks: mark === null || run.bestStep === null ? [] : [{ x: run.bestStep, text: mark }],
      limits,
      label: values.length === 0 ? `${title}: no step yet.` : `${title} at step ${step} of ${run.plannedSteps}: ${said}.`,
      format: axis,
    })}
  </figure>`;
}

/** `mark` is the text of the line at the best step. */
export const runCharts = (context: ViewContext, run: RunView, mark: string | null): TemplateResult =>
  html`<div class="charts">${chartsOf(run, context.steps).map((chart) => figure(chart, context, run, mark))}</div>`;
