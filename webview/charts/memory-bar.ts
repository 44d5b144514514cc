/** What a run needs of memory, stacked, against what is free. */
import { html, svg, type TemplateResult } from 'lit';
import { bytes } from '../../src/protocol/numbers';
import type { MemoryPart } from '../../src/protocol/workbench';
import { t } from '../text';
import { memoryLayout } from './memory-layout';

const names: Readonly<Record<MemoryPart, string>> = {
  process: t('engine now'),
  weights: t('weights'),
  activations: t('activations'),
  cache: t('kept states'),
  optimizer: t('optimizer'),
};

const percentOf = (share: number) => `${(100 * share).toFixed(3)}%`;

export function memoryBar(parts: Readonly<Record<MemoryPart, number>>, need: number, free: number): TemplateResult {
  const layout = memoryLayout(parts, free);
  const said = layout.segments.map(({ part }) => `${names[part]} ${bytes(parts[part])}`).join(', ');
  return html`<div class="memory">
    <svg class="memory-bar" width="100%" height="34" role="img" aria-label=${t('Needs {0} ({1}); {2} free', bytes(need), said, bytes(free))}>
      <defs>
        <pattern id="memory-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="3.5" height="6"></rect></pattern>
      </defs>
      ${layout.segments.map(({ part, from, width }) => svg`<rect class="memory-part ${part}" x=${percentOf(from)} y="6" width=${percentOf(width)} height="22"></rect>`)}
      <rect class="memory-frame" x="0.5" y="6.5" width="100%" height="21" rx="3"></rect>
      <line class="memory-free" x1=${percentOf(layout.free)} x2=${percentOf(layout.free)} y1="0" y2="34"></line>
    </svg>
    <p class="keys">
      ${layout.segments.map(({ part }) => html`<span class="memory-key ${part}">${names[part]} ${bytes(parts[part])}</span>`)}
      <span class="memory-key free">${t('free {0}', bytes(free))}</span>
    </p>
  </div>`;
}
