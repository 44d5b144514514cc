/** Table of what the run changed, tensor by tensor, on the values as the checkpoint stores them. */
import { html, nothing } from 'lit';
import type { ChangedTensor } from '../../../src/protocol/engine';
import { bytes, percent } from '../../../src/protocol/numbers';
import { rich, t } from '../../text';
import { ui } from '../../ui';
import { type Content, card } from '../../ui/parts';
import { commonPrefix } from '../common-prefix';
import { size } from './formats';

export function changedTensors(changed: readonly ChangedTensor[]): Content {
  const prefix = commonPrefix(changed.map(({ unit }) => unit));
  return card(
    {
      title: t('Changed tensors'),
      help: t(
        '‖Δ‖ is the Frobenius norm of the change, after rounding to the stored dtype; the next column is its share of the tensor’s own norm, the last the largest change of one value. Source: the run’s patch against the checkpoint.',
      ),
    },
    prefix ? html`<p class="dim">${rich('All names start with {0}', html`<code>${prefix}</code>`)}</p>` : nothing,
    ui.table({
      label: t('Changed tensors'),
      minWidth: 620,
      columns: [
        { title: t('Tensor'), width: 'minmax(230px, 1fr)' },
        { title: t('Shape'), width: '112px', isNumber: true },
        { title: t('Size'), width: '76px', isNumber: true },
        { title: '‖Δ‖', width: '68px', isNumber: true },
        { title: '‖Δ‖/‖W‖', width: '80px', isNumber: true },
        { title: 'max |Δ|', width: '72px', isNumber: true },
      ],
      rows: changed.map((tensor) => ({
        cells: [
          html`<code>${tensor.unit.slice(prefix.length)}</code>`,
          tensor.shape.join(' × '),
          bytes(tensor.bytes),
          size(tensor.norm, 3),
          tensor.weightNorm > 0 ? percent(tensor.norm / tensor.weightNorm, 2) : '–',
          size(tensor.largest, 4),
        ],
      })),
    }),
  );
}
