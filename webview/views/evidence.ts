/** Is the target a safe choice: how concentrated its layer is, and whether half of the prompts name the same expert. */
import { html, nothing, type TemplateResult } from 'lit';
import { count, duration } from '../../src/protocol/numbers';
import type { ConcentrationView } from '../../src/protocol/prompts-view';
import type { AttributionView } from '../../src/protocol/workbench';
import { concentrationChart } from '../charts/concentration';
import { saveMenu } from '../charts/save-menu';
import { type Content, card, facts, verdict } from '../ui/parts';
import type { ViewContext } from './context';
import { wide } from './context';

/** Top overlaps from here on are good, and below the second weak. */
const good = 0.8;
const weak = 0.6;
/** The paper's number of tokens for a stable ranking. */
const paperTokens = 100_000;

function concentration(view: ConcentrationView, width: number): TemplateResult {
  const { layer, experts, forget, retain, half, retainHalf } = view;
  const words = `${half} of ${experts} experts carry half of the forget tokens`;
  const label = `Layer ${layer}: ${words}${retainHalf === null ? '' : `, ${retainHalf} on retain`}. Equal use would take ${Math.ceil(experts / 2)}.`;
  return html`<div>
    <h3>${words}${retainHalf === null ? nothing : html`<small> ${retainHalf} on retain</small>`}</h3>
    ${concentrationChart({ width, height: 140, experts, forget, retain, half, label })}
    <p class="keys">
      <span class="key-line forget">forget</span>${retain ? html`<span class="key-line retain">retain</span>` : nothing}<span class="key-line equal">equal use</span>
      <span>layer ${layer}, share of routed slots</span>
    </p>
  </div>`;
}

export function stabilityVerdict(stability: AttributionView['stability']): TemplateResult {
  if (stability === 'pending') return verdict('none', 'Comparing halves of the ticked prompts');
  if (!stability) return verdict('none', 'Too few prompts for stability: one prompt has no halves. Tick or add more before you trust the target.');
  const same = `Same target in ${Math.round(stability.sameTarget * stability.halves)} of ${stability.halves} halves`;
  if (stability.topOverlap >= good) return verdict('ok', same);
  if (stability.topOverlap >= weak) return verdict('warn', same);
  return verdict('bad', 'Unstable: add prompts before you trust the target');
}

function stabilityPart({ stability }: AttributionView): TemplateResult {
  const known = stability !== null && stability !== 'pending';
  const overlap = known ? stability.topOverlap : 0;
  return html`<div>
    <h3>Stability of the ranking</h3>
    <div class="stability">
      <div class="meter" role="img" aria-label=${known ? `Top-6 overlap ${overlap.toFixed(2)}, weak below ${weak.toFixed(2)}` : 'Top-6 overlap not known'}>
        <i .style=${`width: ${100 * overlap}%`}></i><u></u>
      </div>
      <div class="line-of"><b class="big">${known ? overlap.toFixed(2) : '–'}</b><span class="dim">top-6 overlap of two halves; weak below ${weak.toFixed(2)}</span></div>
      ${stabilityVerdict(stability)}
    </div>
  </div>`;
}

/** Cumulative share of routed slots, experts by falling use. */
const concentrationRows = ({ forget, retain }: ConcentrationView) => [
  ['experts', 'forget', 'retain'],
  ...forget.map((share, at) => [at, share, retain?.[at] ?? null]),
];

export function evidenceCard({ state, width, send }: ViewContext, attribution: AttributionView): TemplateResult {
  const { tokens, seconds, concentration: curve } = attribution;
  const chart: Content = curve ? concentration(curve, width >= wide ? 376 : Math.min(420, width - 62)) : nothing;
  const pairs: readonly (readonly [string, string])[] = [
    ['Tokens read', count(tokens)],
    ['Paper uses', count(paperTokens)],
    ...(state.prompts && state.prompts.ticked < state.prompts.total
      ? ([['Prompts ticked', `${count(state.prompts.ticked)} of ${count(state.prompts.total)}`]] as const)
      : []),
    ['Read in', duration(seconds)],
  ];
  return card(
    {
      title: 'Is this a safe choice?',
      className: 'evidence-card',
      right: curve ? saveMenu({ name: 'Concentration', rows: () => concentrationRows(curve) }, send) : nothing,
      help: 'Concentrated use means that few experts carry the topic. Overlap compares the six best experts found from two random halves of the prompts, ten times: if it is low, add prompts before you trust the target.',
    },
    html`<div class="evidence">${chart}${stabilityPart(attribution)}</div>`,
    facts(pairs),
  );
}
