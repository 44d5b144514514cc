/** The forget prompts as an element: a list of thousands of rows of which only the seen ones are drawn. Ticks are the host's. */
import { html, nothing, render, type TemplateResult } from 'lit';
import { ref } from 'lit/directives/ref.js';
import { count, fraction } from '../../src/protocol/numbers';
import type { PromptList, PromptTicks } from '../../src/protocol/prompts-view';
import { t } from '../text';
import { ui } from '../ui';
import { icon } from '../ui/parts';
import { matching, movedRow, rowHeight, scrolledTo, windowOf } from './rows';

const ofAll = { all: t('All'), tick: t('All: tick the prompts'), none: t('None'), untick: t('None: untick the prompts') };
const ofFound = { all: t('All found'), tick: t('All found: tick the prompts'), none: t('None found'), untick: t('None found: untick the prompts') };

export interface PromptListInput {
  readonly list: PromptList;
  readonly ticks: PromptTicks;
  /** The prompt whose tokens are shown. */
  readonly shown: number | null;
  /** `L16·E20`; what the column of numbers is about. */
  readonly target: string | null;
  /** A run goes on: nothing can be ticked. */
  readonly locked: boolean;
}

export interface PromptListEvents {
  readonly onTick: (prompts: readonly number[], ticked: boolean) => void;
  readonly onShow: (prompt: number) => void;
}

export interface PromptListElement {
  readonly element: HTMLElement;
  update(input: PromptListInput): void;
}

export function createPromptList({ onTick, onShow }: PromptListEvents): PromptListElement {
  const element = document.createElement('div');
  element.className = 'prompt-list';
  let input: PromptListInput | null = null;
  let filter = '';
  let found: readonly number[] = [];
  /** Row of `found` that the keyboard is on. */
  let row = 0;
  let box: HTMLElement | null = null;
  let largest = 0;

  const heightOf = () => box?.clientHeight || 232;
  const isTicked = (prompt: number) => input?.ticks.ticked[prompt] === 1;

  function find(text: string): void {
    filter = text;
    found = input ? matching(input.list.items, filter) : [];
    row = 0;
    if (box) box.scrollTop = 0;
    draw();
  }

  function moveTo(to: number): void {
    row = to;
    if (box) box.scrollTop = scrolledTo(row, box.scrollTop, heightOf());
    draw();
  }

  function toggle(prompt: number): void {
    if (!input?.locked) onTick([prompt], !isTicked(prompt));
  }

  function onKey(event: KeyboardEvent): void {
    const to = movedRow(row, event.key, found.length, Math.max(1, Math.floor(heightOf() / rowHeight) - 1));
    const prompt = found[row];
    if (to !== null) moveTo(to);
    else if (event.key === ' ' && prompt !== undefined) toggle(prompt);
    else if (event.key === 'Enter' && prompt !== undefined) onShow(prompt);
    else if (event.key === 'Escape' && filter !== '') find('');
    else if (event.key === 'Backspace' && filter !== '') find(filter.slice(0, -1));
    else if (event.key.length === 1 && event.key !== ' ' && !event.ctrlKey && !event.metaKey && !event.altKey) find(filter + event.key);
    else return;
    event.preventDefault();
  }

  function option(at: number): TemplateResult {
    const prompt = found[at];
    const { text } = input?.list.items[prompt] ?? { text: '' };
    const mean = input?.ticks.means?.[prompt] ?? null;
    const ticked = isTicked(prompt);
    return html`<div
      class="prompt ${at === row ? 'on' : ''} ${prompt === input?.shown ? 'shown' : ''}"
      role="option"
      id="prompt-${prompt}"
      aria-selected=${String(ticked)}
      aria-posinset=${at + 1}
      aria-setsize=${found.length}
      .style=${`transform: translateY(${at * rowHeight}px)`}
      @click=${() => {
        moveTo(at);
        onShow(prompt);
      }}
    >
      <span
        class="tick ${ticked ? 'on' : ''}"
        title=${ticked ? t('Leave this prompt out') : t('Use this prompt')}
        @click=${(event: Event) => {
          event.stopPropagation();
          row = at;
          toggle(prompt);
          draw();
        }}
        >${ticked ? icon('check') : nothing}</span
      >
      <span class="text" title=${text}>${text}</span>
      <span class="mini"><i .style=${`width: ${mean === null || largest === 0 ? 0 : (100 * mean) / largest}%`}></i></span>
      <span class="number">${fraction(mean)}</span>
    </div>`;
  }

  function draw(): void {
    if (!input) return;
    const { first, end } = windowOf(box?.scrollTop ?? 0, heightOf(), found.length);
    const { locked } = input;
    const words = found.length === input.list.items.length ? ofAll : ofFound;
    render(
      html`<div class="prompt-tools">
          ${ui.searchField({ label: t('Filter prompts'), value: filter, onInput: find })}
          ${ui.button({ label: words.all, name: words.tick, disabled: locked, onClick: () => onTick(found, true) })}
          ${ui.button({ label: words.none, name: words.untick, disabled: locked, onClick: () => onTick(found, false) })}
        </div>
        <div
          class="prompts"
          role="listbox"
          tabindex="0"
          aria-label=${t('Forget prompts')}
          aria-multiselectable="true"
          aria-disabled=${locked ? 'true' : nothing}
          aria-activedescendant=${found.length > 0 ? `prompt-${found[Math.min(row, found.length - 1)]}` : nothing}
          ${ref((at) => {
            box = (at as HTMLElement | undefined) ?? null;
          })}
          @scroll=${draw}
          @keydown=${onKey}
        >
          <div class="prompt-rows" role="presentation" .style=${`height: ${found.length * rowHeight}px`}>
            ${Array.from({ length: end - first }, (_, at) => option(first + at))}
          </div>
        </div>
        <p class="hint" role="status">${filter === '' ? t('Space ticks, Enter shows the tokens; type to filter') : t('{0} of {1} prompts have “{2}”', count(found.length), count(input.list.items.length), filter)}</p>`,
      element,
    );
  }

  return {
    element,
    update(next) {
      const isNew = next.list !== input?.list;
      if (next.ticks !== input?.ticks) largest = next.ticks.means ? Math.max(...chunkMaxima(next.ticks.means)) : 0;
      const changed = !input || (Object.keys(next) as (keyof PromptListInput)[]).some((key) => next[key] !== input?.[key]);
      input = next;
      if (isNew) find('');
      else if (changed) draw();
    },
  };
}

/** Largest of each thousand: a spread of them all would be too many arguments. */
function chunkMaxima(values: Float32Array): readonly number[] {
  const maxima = [0];
  for (let from = 0; from < values.length; from += 1000) maxima.push(Math.max(...values.subarray(from, from + 1000)));
  return maxima;
}
