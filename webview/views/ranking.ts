/** Experts of all layers by affinity, with the one that can't be chosen and why. */
import { html, nothing, type TemplateResult } from 'lit';
import { expertName, fraction, percent, times } from '../../src/protocol/numbers';
import type { AttributionView, ModelView, RankingRow } from '../../src/protocol/workbench';
import { disagreementWords, indexOfExpert, points } from '../heatmap/effects';
import { t } from '../text';
import { ui } from '../ui';
import { type Content, card, icon } from '../ui/parts';
import { type ViewContext, wide } from './context';

/** Below the ranking, where the model has shared experts. */
export function sharedRow({ sharedExperts }: Pick<ModelView, 'sharedExperts'>, layer: number): Content {
  if (sharedExperts === 0) return nothing;
  const name = sharedExperts === 1 ? t('shared 0') : t('shared 0–{0}', sharedExperts - 1);
  return html`<p class="locked-row">
    ${icon('lock')}
    <span><b>L${layer}·${name}</b> ${t('not selectable.')} ${t('Shared experts see every token of every topic; adding them drops utility from 0.510 to 0.355 (paper, Table 2).')}</span>
  </p>`;
}

/** A column of numbers: wide enough for long heads where there is room, else for the longest of its own. */
const columnWidth = (width: number, least: number) => (width >= 600 && width < wide ? '80px' : `${least}px`);

export function rankingCard({ state, send, width, effects }: ViewContext, attribution: AttributionView, target: RankingRow): TemplateResult {
  const { model } = state;
  const rows = attribution.ranking.map((row) => {
    const selected = row.layer === target.layer && row.expert === target.expert;
    const words = t('layer {0}, expert {1}', row.layer, row.expert);
    const at = effects && indexOfExpert(effects, row);
    const hint = effects && at !== null ? disagreementWords(effects.disagrees[at]) : '';
    const pick = html`<button
      class="pick"
      aria-pressed=${String(selected)}
      aria-label=${selected ? t('{0}: {1}, the target', expertName(row), words) : t('{0}: {1}, make it the target', expertName(row), words)}
      title=${selected ? t('This is the target') : t('Make it the target')}
      @click=${() => send({ type: 'target', layer: row.layer, expert: row.expert })}
    >
      ${icon(selected ? 'target' : 'circle-large')} ${expertName(row)}
    </button>`;
    return {
      selected,
      label: selected
        ? t('Rank {0}, {1}, affinity {2}, target', row.rank, words, fraction(row.affinity))
        : t('Rank {0}, {1}, affinity {2}', row.rank, words, fraction(row.affinity)),
      cells: [
        String(row.rank),
        pick,
        fraction(row.affinity),
        times(row.timesEqual),
        percent(row.share),
        ...(effects && at !== null
          ? [
              hint
                ? html`<span title=${hint}><span class="codicon codicon-info" role="img" aria-label=${hint}></span> ${points(effects.score[at])}</span>`
                : points(effects.score[at]),
            ]
          : effects
            ? ['–']
            : []),
        ...(attribution.hasRetain && !effects ? [percent(row.retainShare)] : []),
        `${row.rankInLayer}/${model?.experts ?? 0}`,
      ],
    };
  });
  const number = (title: string, least: number) => ({ title, width: columnWidth(width, least), isNumber: true });
  return card(
    {
      title: t('Ranking'),
      className: 'ranking',
      help: t(
        'Experts of all layers by affinity on the ticked prompts. The method unlearns one expert, the first. Choosing a lower rank costs utility: in the paper rank 1 keeps 0.549, rank 23 keeps 0.426, rank 26 keeps 0.236. Share is the part of the routed slots that the expert gets, Retain the same on the retain set.',
      ),
    },
    ui.table({
      label: t('Ten best experts'),
      columns: [
        { title: '#', width: '26px', isNumber: true },
        { title: t('Expert'), width: '1fr' },
        number(t('Affinity'), 52),
        number(t('× equal'), 57),
        number(t('Share'), 53),
        ...(effects ? [number(t('Effect'), 60)] : []),
        ...(attribution.hasRetain && !effects ? [number(t('Retain'), 60)] : []),
        number(t('In layer'), 50),
      ],
      rows,
    }),
    model ? sharedRow(model, target.layer) : nothing,
  );
}
