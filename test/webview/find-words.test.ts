import { expect } from 'chai';
import type { PromptsView } from '../../src/protocol/prompts-view';
import type { AttributionView, RankingRow } from '../../src/protocol/workbench';
import { forgottenWords, headlineWords, kindWords } from '../../webview/views/find-words';

const prompts = (ticked: number): PromptsView => ({
  total: 240,
  ticked,
  tokens: 5000,
  sources: [{ name: 'forget.jsonl', kind: 'file', prompts: 240, ticked }],
  targetPicked: false,
});
const target = { layer: 2, expert: 10, affinity: 0.393, share: 0.333, rank: 1, rankInLayer: 1, timesEqual: 6.29, retainShare: null } satisfies RankingRow;
const attribution = { best: { layer: 2, expert: 10 }, selectable: 48 } as AttributionView;

describe('words of step 2', () => {
  it('say on which prompts the target is the best, or which one is', () => {
    expect(headlineWords(target, attribution, prompts(240))).to.equal(
      'It gets the largest router score on the 240 forget prompts: affinity 0.393, 6.29\u202f× an equal share, rank 1 of 48.',
    );
    expect(headlineWords(target, attribution, prompts(11))).to.match(/on the 11 ticked of 240 forget prompts/);
    expect(headlineWords({ ...target, rank: 12 }, attribution, prompts(240))).to.match(/^Affinity 0\.393.*rank 12 of 48\. The best expert is L2·E10/);
  });

  it('say what a run forgets', () => {
    expect(forgottenWords(prompts(240))).to.equal('A run forgets all 240 prompts of forget.jsonl.');
    expect(forgottenWords(prompts(11))).to.equal('A run forgets the 11 ticked prompts alone, not the other 229 of forget.jsonl.');
    expect(forgottenWords(prompts(0))).to.match(/tick a prompt/);
  });

  it('say what rows there are', () => {
    expect(kindWords({ text: 1, 'multiple choice': 1200, other: 2 })).to.equal('1 text, 1\u202f200 questions, 2 other');
  });
});
