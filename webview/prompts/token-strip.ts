/** Where the target fires: the tokens of one prompt, tinted by the target's router score, and below the experts of one token. */
import { html, nothing, render, type TemplateResult } from 'lit';
import { expertName, fraction } from '../../src/protocol/numbers';
import type { TokenStrip } from '../../src/protocol/prompts-view';
import type { ExpertId } from '../../src/protocol/records';
import { ramp, type Theme } from '../heatmap/colour';
import { t } from '../text';
import { ui } from '../ui';
import { movedRow } from './rows';
import { barHeight, cellsOf, chosenExperts, inkOn, shownToken, strongest, type TokenCell, tintOf } from './strip-cells';

export interface TokenStripInput {
  readonly strip: TokenStrip | null;
  readonly target: ExpertId;
  /** The expert to look at in a layer: the target in its own, else the layer's best. */
  readonly expertOf: (layer: number) => number;
  readonly theme: Theme;
}

export interface TokenStripElement {
  readonly element: HTMLElement;
  update(input: TokenStripInput): void;
}

export function createTokenStrip(): TokenStripElement {
  const element = document.createElement('div');
  element.className = 'token-strip';
  let input: TokenStripInput | null = null;
  /** null: the target's. */
  let layer: number | null = null;
  let token = 0;

  function chooseLayer(strip: TokenStrip, shown: number): TemplateResult {
    return ui.choice({
      label: t('Layer'),
      value: String(shown),
      options: strip.layers.map((id) => ({ value: String(id), label: id === input?.target.layer ? t('L{0}, the target’s', id) : `L${id}` })),
      onChange: (value) => {
        layer = Number(value);
        draw();
      },
    });
  }

  function tokenAt(cells: readonly TokenCell[], at: number, colours: readonly string[]): TemplateResult {
    const { text, score } = cells[at];
    const colour = tintOf(colours, score);
    const style = score > 0 ? `--tint: ${colour}; --ink: ${inkOn(colour)}; --bar: ${barHeight(score)}px` : '';
    const show = () => {
      if (token === at) return;
      token = at;
      draw();
    };
    return html`<span
      class="token ${score > 0 ? '' : 'off'} ${at === token ? 'on' : ''}"
      role="option"
      id="token-${at}"
      aria-selected=${String(at === token)}
      aria-label="${text.trim() || shownToken(text)}, ${score > 0 ? t('gate {0}', fraction(score)) : t('not chosen')}"
      .style=${style}
      @pointerenter=${show}
      @click=${show}
      ><span>${shownToken(text)}</span><i></i
    ></span>`;
  }

  function readout(strip: TokenStrip, shown: number, expert: number): TemplateResult {
    return html`<div class="token-readout" role="status">
      <b>“${strip.tokens[token]?.trim() || shownToken(strip.tokens[token] ?? '')}”</b> <span class="dim">${t('chosen experts in L{0}', shown)}</span>
      <ol>
        ${chosenExperts(strip, shown, token).map(
          (chosen) => html`<li class=${chosen.expert === expert ? 'on' : ''}>
            <span>E${chosen.expert}</span><span class="mini"><i .style=${`width: ${100 * Math.min(1, chosen.score)}%`}></i></span><span class="number">${fraction(chosen.score)}</span>
          </li>`,
        )}
      </ol>
    </div>`;
  }

  function draw(): void {
    if (!input) return;
    const { strip, target, expertOf, theme } = input;
    if (!strip) {
      render(
        html`<h3>${t('Where the target fires')}</h3>
          <div class="tokens"></div>
          <div class="token-readout"><span class="dim">${t('Choose a prompt, or press Enter on one, to see which of its tokens chose {0}.', expertName(target))}</span></div>`,
        element,
      );
      return;
    }
    const shown = layer !== null && strip.layers.includes(layer) ? layer : target.layer;
    const expert = expertOf(shown);
    const cells = cellsOf(strip, shown, expert);
    const colours = ramp(theme, 'magnitude');
    render(
      html`<div class="token-head">
          <h3>${shown === target.layer ? t('Where the target fires') : t('Where {0} fires', expertName({ layer: shown, expert }))}</h3>
          ${strip.layers.length > 1 ? chooseLayer(strip, shown) : nothing}
        </div>
        <div
          class="tokens"
          role="listbox"
          tabindex="0"
          aria-label=${t('Tokens of prompt {0}, tinted by the router score of {1}', strip.prompt + 1, expertName({ layer: shown, expert }))}
          aria-activedescendant="token-${token}"
          @keydown=${(event: KeyboardEvent) => {
            const key = { ArrowRight: 'ArrowDown', ArrowLeft: 'ArrowUp' }[event.key] ?? event.key;
            const to = movedRow(token, key, cells.length, 10);
            if (to === null) return;
            event.preventDefault();
            token = to;
            draw();
            element.querySelector(`#token-${token}`)?.scrollIntoView({ block: 'nearest' });
          }}
        >
          ${cells.map((_, at) => tokenAt(cells, at, colours))}
        </div>
        ${readout(strip, shown, expert)}`,
      element,
    );
  }

  return {
    element,
    update(next) {
      const isNew = next.strip !== input?.strip;
      const isOther = next.target.layer !== input?.target.layer || next.target.expert !== input?.target.expert;
      const changed = isNew || isOther || next.theme !== input?.theme;
      input = next;
      if (isOther) layer = null;
      if (isNew && next.strip) token = strongest(cellsOf(next.strip, next.target.layer, next.target.expert));
      if (changed) draw();
    },
  };
}
