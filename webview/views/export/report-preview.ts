/** The report in short; the whole of it is one click away. */
import { html } from 'lit';
import { difference, expertName, fraction } from '../../../src/protocol/numbers';
import type { ComparisonView } from '../../../src/protocol/workbench';
import { t } from '../../text';
import { type Content, card, facts } from '../../ui/parts';
import { roleTitles } from '../compare/context';

export function reportPreview({ label, target, steps, keptStep, cards, audits, headline }: ComparisonView): Content {
  const measured = audits.filter(({ outcome }) => outcome !== null);
  return card(
    { title: t('Report preview'), className: 'report-preview' },
    html`<h3>${label}</h3>`,
    facts([
      [t('Target'), target.map(expertName).join(', ')],
      [t('Step'), t('{0} of {1}', keptStep, steps)],
      ...cards.map((each): readonly [string, string, string] => [
        roleTitles[each.role],
        `${fraction(each.before)} → ${fraction(each.after)}`,
        each.kind === 'accuracy'
          ? t('accuracy, {0}', difference(each.after - each.before))
          : t('probability per token, {0}', difference(each.after - each.before)),
      ]),
      ...measured.map(({ title, outcome }): readonly [string, string] => [title, outcome?.verdict.text ?? '']),
      [t('Audits not run'), String(audits.length - measured.length)],
    ]),
    html`<p class="dim">${headline}</p>`,
  );
}
