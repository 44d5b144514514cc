/** Parts that the kit does not have: card, banner, verdict, list of facts, choice of a few. */
import { html, nothing, type TemplateResult } from 'lit';
import { t } from '../text';

export type Content = TemplateResult | string | typeof nothing;

export const icon = (name: string): TemplateResult => html`<span class="codicon codicon-${name}" aria-hidden="true"></span>`;

export interface CardOptions {
  readonly title: string;
  /** One to three sentences behind "?". */
  readonly help?: string;
  readonly right?: Content;
  readonly className?: string;
}

const idOf = (title: string) => title.toLowerCase().replace(/[^a-z]+/g, '-');

/** The help opens in place; its state lives in the element, so a redraw does not close it. */
export function card({ title, help, right = nothing, className = '' }: CardOptions, ...body: readonly Content[]): TemplateResult {
  const id = `card-${idOf(title)}`;
  return html`<section class="card ${className}" aria-labelledby=${id}>
    <header><h2 id=${id}>${title}</h2><span class="grow"></span>${right}</header>
    ${help ? html`<details class="help"><summary aria-label=${t('About “{0}”', title)}>${icon('question')}</summary><p>${help}</p></details>` : nothing}
    ${body}
  </section>`;
}

export type BannerKind = 'error' | 'warning' | 'info' | 'ok';
const bannerIcons: Readonly<Record<BannerKind, string>> = { error: 'error', warning: 'warning', info: 'info', ok: 'pass' };

export const banner = (kind: BannerKind, title: string, text: string, actions: Content = nothing): TemplateResult =>
  html`<div class="banner ${kind}" role=${kind === 'error' ? 'alert' : 'status'}>
    ${icon(bannerIcons[kind])}
    <div><strong>${title}</strong> ${text}</div>
    <div class="actions">${actions}</div>
  </div>`;

export type VerdictKind = 'ok' | 'warn' | 'bad' | 'none';
const verdictIcons: Readonly<Record<VerdictKind, string>> = { ok: 'pass-filled', warn: 'warning', bad: 'error', none: 'circle-slash' };

/** Never the icon alone. */
export const verdict = (kind: VerdictKind, text: string): TemplateResult =>
  html`<span class="verdict ${kind}">${icon(verdictIcons[kind])}<span>${text}</span></span>`;

export const facts = (pairs: readonly (readonly [name: string, value: string, note?: string])[]): TemplateResult =>
  html`<dl class="facts">
    ${pairs.map(([name, value, note]) => html`<dt>${name}</dt><dd>${value}${note ? html`<small class="note-line">${note}</small>` : nothing}</dd>`)}
  </dl>`;

export const sentences = (list: readonly string[], label: string): Content =>
  list.length === 0 ? nothing : html`<h3>${label}</h3><ul class="sentences">${list.map((text) => html`<li>${text}</li>`)}</ul>`;

export interface SegmentOptions<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly options: readonly { readonly value: T; readonly label: string; readonly tip: string; readonly disabled?: boolean }[];
  readonly onChange: (value: T) => void;
}

/** One tab stop; left and right choose, as in any group of radio buttons. */
export function segments<T extends string>({ label, value, options, onChange }: SegmentOptions<T>): TemplateResult {
  const enabled = options.filter((option) => !option.disabled);
  const onKey = (event: KeyboardEvent) => {
    const move = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const at = enabled.findIndex((option) => option.value === value);
    const next = enabled[(at + move + enabled.length) % enabled.length];
    onChange(next.value);
    const group = event.currentTarget as HTMLElement;
    requestAnimationFrame(() => group.querySelector<HTMLElement>('[aria-checked="true"]')?.focus());
  };
  return html`<div class="segments" role="radiogroup" aria-label=${label} @keydown=${onKey}>
    ${options.map(
      (option) =>
        html`<button
          role="radio"
          aria-checked=${String(option.value === value)}
          aria-disabled=${String(option.disabled ?? false)}
          tabindex=${option.value === value ? 0 : -1}
          title=${option.tip}
          @click=${() => !option.disabled && onChange(option.value)}
        >
          ${option.label}
        </button>`,
    )}
  </div>`;
}
