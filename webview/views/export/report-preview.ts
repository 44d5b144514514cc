/** The report in short; the whole of it is one click away. */
import { html } from 'lit';
import { difference, expertName, fraction } from '../../../src/protocol/numbers';
import type { ComparisonView } from '../../../src/protocol/workbench';
import { type Content, card, facts } from '../../ui/parts';

const roleNames = { forget: 'Forget', near: 'Near topic', utility: 'Utility' } as const;

export function reportPreview({ label, target, steps, keptStep, cards, audits, headline }: ComparisonView): Content {
  const measured = audits.filter(({ outcome }) => outcome !== null);
  return card(
    { title: 'Report preview', className: 'report-preview' },
    html`<h3>${label}</h3>`,
    facts([
      ['Target', target.map(expertName).join(', ')],
      ['Step', `${keptStep} of ${steps}`],
      ...cards.map((each): readonly [string, string, string] => [
        roleNames[each.role],
        `${fraction(each.before)} → ${fraction(each.after)}`,
        `${each.kind === 'accuracy' ? 'accuracy' : 'probability per token'}, ${difference(each.after - each.before)}`,
      ]),
      ...measured.map(({ title, outcome }): readonly [string, string] => [title, outcome?.verdict.text ?? '']),
      ['Audits not run', String(audits.length - measured.length)],
    ]),
    html`<p class="dim">${headline}</p>`,
  );
}
