import { expect } from 'chai';
import { createGate, type GateParts } from '../../src/extension/message-gate';
import { type WebviewMessage, webviewMessage } from '../../src/protocol/webview-message';

function gate(act: GateParts['act'] = () => undefined) {
  let clock = 0;
  const acted: WebviewMessage[] = [];
  const said: string[] = [];
  const made = createGate({
    parse(raw) {
      const message = webviewMessage.safeParse(raw);
      return message.success ? message : { success: false, why: message.error.issues[0]?.message ?? 'unknown' };
    },
    act(message) {
      acted.push(message);
      return act(message);
    },
    warn: (text) => said.push(text),
    now: () => clock,
  });
  return { ...made, acted, said, wait: (ms: number) => (clock += ms) };
}

describe('the gate for messages of the page', () => {
  it('lets in what a person sends, also with a held key for a minute', () => {
    const { take, acted, said, wait } = gate();
    for (let i = 0; i < 60 * 30; i++) {
      expect(take({ type: 'target', layer: 0, expert: i })).to.equal(true);
      wait(1000 / 30);
    }
    expect(acted).to.have.length(1800);
    expect(said).to.deep.equal([]);
  });

  it('acts on nothing that is not of a known form, and counts it', () => {
    const { take, acted, said, refused, wait } = gate();
    for (const raw of [null, 7, 'start', [], { type: 'openCheckpoint', path: '/etc' }, { type: 'showRun', run: '../../other/.uoe/runs/x' }]) {
      expect(take(raw), JSON.stringify(raw)).to.equal(false);
      wait(100);
    }
    expect(acted).to.deep.equal([]);
    expect(refused()).to.deep.equal({ malformed: 6, flood: 0 });
    expect(said).to.have.length(1);
  });

  it('a flood is refused but for a bounded rate, is told of once, and once again when it is over', () => {
    const { take, acted, said, refused, wait } = gate();
    // Ten seconds of a thousand messages a second, every other one malformed.
    for (let i = 0; i < 10_000; i++) {
      take(i % 2 === 0 ? { type: 'read' } : { type: 'nonsense', i });
      wait(1);
    }
    const { malformed, flood } = refused();
    // 240 at once and 60 a second.
    expect(acted.length + malformed).to.be.within(240 + 590, 240 + 610);
    expect(acted.length + malformed + flood).to.equal(10_000);
    expect(said).to.deep.equal([said[0], said[1]]);
    expect(said.filter((text) => text.startsWith('The page sends more messages'))).to.have.length(1);
    wait(5000);
    expect(take({ type: 'read' })).to.equal(true);
    expect(said.at(-1)).to.equal(`The page is calm again; ${flood} of its messages were refused.`);
    expect(take({ type: 'read' })).to.equal(true);
    expect(said).to.have.length(3);
  });

  it('work that does not end is bounded; what ends it is still let in', () => {
    let end: () => void = () => undefined;
    const never = new Promise<void>((resolve) => {
      end = resolve;
    });
    const { take, refused, wait, acted } = gate((message) => (message.type === 'read' ? never : undefined));
    for (let i = 0; i < 100; i++) {
      take({ type: 'read' });
      wait(50);
    }
    expect(acted).to.have.length(32);
    expect(refused().flood).to.equal(68);
    expect(take({ type: 'doctor' })).to.equal(false);
    expect(take({ type: 'cancel' })).to.equal(true);
    expect(take({ type: 'steer', action: 'keep' })).to.equal(true);
    end();
    return new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => expect(take({ type: 'doctor' })).to.equal(true));
  });

  it('a message counts by its size', () => {
    const { take, acted } = gate();
    const prompts = Array.from({ length: 1_000_000 }, (_, prompt) => prompt);
    for (let i = 0; i < 10; i++) take({ type: 'tick', prompts, ticked: true });
    expect(acted).to.have.length(1);
  });
});
