/** The checkpoint's tensors as a row of squares, in the order of its files; a large checkpoint puts several into one square. */
import { html, type TemplateResult } from 'lit';
import { count } from '../../../src/protocol/numbers';
import { tensorSquares } from './tensor-squares';

export function tensorMap(tensors: number, places: readonly number[]): TemplateResult {
  const { each, changed } = tensorSquares(tensors, places);
  const label = `${count(places.length)} of ${count(tensors)} tensors of the checkpoint hold a change; the others are frozen.`;
  return html`<div class="tensor-map" role="img" aria-label=${label}>${changed.map((isChanged) => html`<i class=${isChanged ? 'changed' : ''}></i>`)}</div>
    <p class="tensor-keys">
      <span><i class="square"></i>${each === 1 ? 'frozen tensor' : `${count(each)} frozen tensors`}</span>
      <span><i class="square changed"></i>${each === 1 ? 'changed tensor' : 'holds a changed tensor'}</span>
    </p>`;
}
