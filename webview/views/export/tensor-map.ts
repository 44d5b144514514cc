/** The checkpoint's tensors as a row of squares, in the order of its files; a large checkpoint puts several into one square. */
import { html, type TemplateResult } from 'lit';
import { count } from '../../../src/protocol/numbers';
import { t } from '../../text';
import { tensorSquares } from './tensor-squares';

export function tensorMap(tensors: number, places: readonly number[]): TemplateResult {
  const { each, changed } = tensorSquares(tensors, places);
  const label = t('{0} of {1} tensors of the checkpoint hold a change; the others are frozen.', count(places.length), count(tensors));
  return html`<div class="tensor-map" role="img" aria-label=${label}>${changed.map((isChanged) => html`<i class=${isChanged ? 'changed' : ''}></i>`)}</div>
    <p class="tensor-keys">
      <span><i class="square"></i>${each === 1 ? t('frozen tensor') : t('{0} frozen tensors', count(each))}</span>
      <span><i class="square changed"></i>${each === 1 ? t('changed tensor') : t('holds a changed tensor')}</span>
    </p>`;
}
