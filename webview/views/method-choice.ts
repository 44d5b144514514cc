/** The forget losses as a list of radio buttons: one tab stop, arrows choose. */
import { html, type TemplateResult } from 'lit';
import type { MethodDescriptor } from '../../src/protocol/catalogue';
import { t } from '../text';

/** First and second sentence of a method's help. */
function lines(help: string): readonly [string, string] {
  const end = help.indexOf('. ');
  return end < 0 ? [help.replace(/\.$/, ''), ''] : [help.slice(0, end), help.slice(end + 2).replace(/\.$/, '')];
}

export function methodChoice(methods: readonly MethodDescriptor[], chosen: string, onChange: (id: string) => void): TemplateResult {
  const onKey = (event: KeyboardEvent) => {
    const move = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const at = methods.findIndex(({ id }) => id === chosen);
    const next = (at + move + methods.length) % methods.length;
    onChange(methods[next].id);
    (event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[role="radio"]')[next]?.focus();
  };
  return html`<div class="methods" role="radiogroup" aria-label=${t('Method')} @keydown=${onKey}>
    ${methods.map(({ id, label, help, source }) => {
      const [what, note] = lines(help);
      return html`<button class="method" role="radio" aria-checked=${String(id === chosen)} tabindex=${id === chosen ? 0 : -1} title=${source} @click=${() => onChange(id)}>
        <i class="dot" aria-hidden="true"></i><b>${label}</b><span>${what}<small class="note-line">${note}</small></span>
      </button>`;
    })}
  </div>`;
}
