/** Experts of all layers by affinity, with the one that can't be chosen and why. */
import { html, nothing, type TemplateResult } from 'lit';
import { expertName, expertWords, fraction, percent, times } from '../../src/protocol/numbers';
import type { AttributionView, ModelView, RankingRow } from '../../src/protocol/workbench';
import { ui } from '../ui';
import { type Content, card, icon } from '../ui/parts';
import type { ViewContext } from './context';

/** Below the ranking, where the model has shared experts. */
export function sharedRow({ sharedExperts }: Pick<ModelView, 'sharedExperts'>, layer: number): Content {
  if (sharedExperts === 0) return nothing;
  const name = sharedExperts === 1 ? 'shared 0' : `shared 0–${sharedExperts - 1}`;
  return html`<p class="locked-row">
    ${icon('lock')}
    <span><b>L${layer}·${name}</b> not selectable. Shared experts see every token of every topic; adding them drops utility from 0.510 to 0.355 (paper, Table 2).</span>
  </p>`;
}

export function rankingCard({ state, send }: ViewContext, attribution: AttributionView, target: RankingRow): TemplateResult {
  const { model } = state;
  const rows = attribution.ranking.map((row) => {
    const selected = row.layer === target.layer && row.expert === target.expert;
    const pick = html`<button
      class="pick"
      aria-pressed=${String(selected)}
      aria-label="${expertName(row)}: ${expertWords(row)}${selected ? ', the target' : ', make it the target'}"
      title=${selected ? 'This is the target' : 'Make it the target'}
      @click=${() => send({ type: 'target', layer: row.layer, expert: row.expert })}
    >
      ${icon(selected ? 'target' : 'circle-large')} ${expertName(row)}
    </button>`;
    return {
      selected,
      label: `Rank ${row.rank}, ${expertWords(row)}, affinity ${fraction(row.affinity)}${selected ? ', target' : ''}`,
      cells: [
        String(row.rank),
        pick,
        fraction(row.affinity),
        times(row.timesEqual),
        percent(row.share),
        ...(attribution.hasRetain ? [percent(row.retainShare)] : []),
        `${row.rankInLayer}/${model?.experts ?? 0}`,
      ],
    };
  });
  const number = (title: string, width: string) => ({ title, width, isNumber: true });
  return card(
    {
      title: 'Ranking',
      className: 'ranking',
      help: 'Experts of all layers by affinity on the ticked prompts. The method unlearns one expert, the first. Choosing a lower rank costs utility: in the paper rank 1 keeps 0.549, rank 23 keeps 0.426, rank 26 keeps 0.236. Share is the part of the routed slots that the expert gets, Retain the same on the retain set.',
    },
    ui.table({
      label: 'Ten best experts',
      columns: [
        number('#', '28px'),
        { title: 'Expert', width: '1fr' },
        number('Affinity', '50px'),
        number('× equal', '52px'),
        number('Share', '52px'),
        ...(attribution.hasRetain ? [number('Retain', '52px')] : []),
        number('In layer', '50px'),
      ],
      rows,
    }),
    model ? sharedRow(model, target.layer) : nothing,
  );
}
