/** Step 1: what was opened, what can be edited, which data are ready. */
import { html, nothing, type TemplateResult } from 'lit';
import { bytes, count, parameters } from '../../src/protocol/numbers';
import { demoOffer, openedFamilies } from '../../src/protocol/offer';
import type { ModelView } from '../../src/protocol/workbench';
import { ui } from '../ui';
import { banner, type Content, card, facts, icon, sentences, verdict } from '../ui/parts';
import type { ViewContext } from './context';
import { dataCard, previewCard } from './data';
import { loading } from './loading';
import { isProblemPage, problemPage } from './problem-page';

function empty({ state, send }: ViewContext): TemplateResult {
  const { forget } = state.data;
  return html`<div class="blank">
    ${icon('circuit-board')}
    <h1>No model yet</h1>
    <p>Open a Mixture-of-Experts checkpoint (safetensors), or start with the demo model that comes with UOE.</p>
    ${forget ? html`<p>The prompts to forget are kept: <code>${forget.name}</code>. They are read once a model is open.</p>` : ''}
    <div class="actions">
      ${ui.button({ label: 'Open checkpoint folder…', icon: 'folder-opened', primary: true, onClick: () => send({ type: 'problem', action: 'openCheckpoint' }) })}
      ${ui.button({ label: 'Use the demo model', icon: 'beaker', onClick: () => send({ type: 'problem', action: 'useDemo' }) })}
    </div>
    <p class="dim">The demo has ${count(demoOffer.moeLayers)} MoE layers × ${count(demoOffer.experts)} experts and ${parameters(demoOffer.parameters)} parameters. Families that can be opened: ${openedFamilies.join(', ')}.</p>
  </div>`;
}

/** One row per decoder layer: a square per routed expert, a dashed bar for a dense layer. */
function architecture(model: ModelView): TemplateResult {
  const rows = Array.from({ length: model.layers }, (_, layer) =>
    model.moeLayers.includes(layer)
      ? html`<div class="layer-row"><span>L${layer}</span><div>${Array.from({ length: model.experts }, () => html`<i></i>`)}${Array.from({ length: model.sharedExperts }, () => html`<em></em>`)}</div></div>`
      : html`<div class="layer-row"><span>L${layer}</span><div class="dense">dense</div></div>`,
  );
  const label = `${model.layers} layers, ${model.moeLayers.length} of them with ${model.experts} routed experts${model.sharedExperts > 0 ? ` and ${model.sharedExperts} shared` : ''}`;
  return html`<div class="architecture" role="img" aria-label=${label}>${rows}</div>`;
}

/** `layer 0 is dense`, `layers 0–2 are dense`; empty where every layer has experts. */
export function denseWords({ layers, moeLayers }: Pick<ModelView, 'layers' | 'moeLayers'>): string {
  const dense = Array.from({ length: layers }, (_, layer) => layer).filter((layer) => !moeLayers.includes(layer));
  if (dense.length === 0) return '';
  if (dense.length === 1) return `layer ${dense[0]} is dense`;
  const isRun = dense[dense.length - 1] - dense[0] === dense.length - 1;
  return `layers ${isRun ? `${dense[0]}–${dense[dense.length - 1]}` : dense.join(', ')} are dense`;
}

function modelFacts(model: ModelView): Content {
  const shared = model.sharedExperts > 0 ? ` + ${count(model.sharedExperts)} shared` : '';
  return facts([
    ['Family', model.family],
    [
      'Parameters',
      parameters(model.parameters.total),
      `${parameters(model.parameters.active)} used per token, ${parameters(model.parameters.perExpert)} per expert`,
    ],
    ['MoE layers', count(model.moeLayers.length), denseWords(model)],
    ['Experts', `${count(model.experts)} routed${shared}`, `top-${model.topK}`],
    ['Hidden size', count(model.hiddenSize)],
    ['Vocabulary', count(model.vocabSize)],
    [
      'Tokenizer',
      model.tokenizer ? `${model.tokenizer.kind}, ${count(model.tokenizer.vocabulary)} entries` : 'none',
      model.tokenizer ? (model.tokenizer.chatTemplate ? 'with a chat template' : undefined) : 'works on rows of input_ids',
    ],
    ['Stored as', model.dtype, bytes(model.bytes)],
    ['Tensors', count(model.tensors), `in ${count(model.shards)} ${model.shards === 1 ? 'file' : 'files'}`],
    ['Fingerprint', `${model.fingerprint.replace(/^sha256:/, '').slice(0, 8)}…`],
  ]);
}

function engineFacts({ state }: ViewContext, { plan }: ModelView): Content {
  const { backend, status } = state.engine;
  const { doctor } = state;
  const memory: readonly (readonly [string, string, string?])[] = [
    [
      'Memory',
      `${bytes(plan.peakBytes)} needed to read`,
      `${bytes(plan.budgetBytes)} allowed${doctor ? `, ${bytes(doctor.memory.free)} free on this machine` : ''}`,
    ],
  ];
  if (!backend) return facts([['Engine', status], ...memory]);
  return facts([
    ['Backend', backend.name, backend.why],
    ['Threads', count(backend.threads)],
    ...(backend.faster ? ([['Faster', backend.faster]] as const) : []),
    ...memory,
  ]);
}

/** The engine's arithmetic against float64, tried when asked for. */
function selfTest({ state, send }: ViewContext): Content {
  const { doctor, job } = state;
  const test = ui.button({
    label: doctor ? 'Test again' : 'Test the engine',
    icon: 'beaker',
    disabled: job !== null,
    onClick: () => send({ type: 'doctor' }),
  });
  if (!doctor) return html`<div class="self-test"><span class="dim">Self-test: not run yet</span>${test}</div>`;
  const { selfTest: result, backends, missing } = doctor;
  const measured = backends.filter((backend) => backend.gigaflops !== null);
  return html`<div class="self-test">
      ${result.passed ? verdict('ok', 'Self-test passed') : verdict('bad', 'Self-test failed: do not trust results of this backend')}${test}
    </div>
    ${facts([
      ['Largest error of a product', result.error.toExponential(1), 'against float64, relative to its largest element'],
      ...measured.map(
        (backend) =>
          [
            'Speed',
            `${backend.gigaflops?.toFixed(1)} GFLOP/s`,
            `${backend.name}, ${count(backend.threads)} ${backend.threads === 1 ? 'thread' : 'threads'}`,
          ] as const,
      ),
    ])}
    ${sentences(missing, 'What is missing')}`;
}

export function modelStep(context: ViewContext): TemplateResult {
  const { state, send } = context;
  const { model, data, job } = state;
  if (!model) {
    if (job) return loading(job.title, job);
    return state.problem && isProblemPage(state) ? problemPage(state.problem, send) : empty(context);
  }
  const { moeLayers, experts, topK, sharedExperts } = model;
  const shared = sharedExperts > 0 ? `, ${count(sharedExperts)} shared` : '';
  return html`
    <div class="headline">
      <div>
        <h1>${model.name}</h1>
        <p>
          ${count(moeLayers.length)} MoE ${moeLayers.length === 1 ? 'layer' : 'layers'} × ${count(experts)} experts, ${count(topK)} chosen per token${shared}. The files on disk stay as they are until you
          export or apply.
        </p>
      </div>
      <div class="actions">
        ${ui.button({ label: 'Open another…', icon: 'folder-opened', onClick: () => send({ type: 'problem', action: 'openCheckpoint' }) })}
        ${ui.button({ label: 'Find expert', icon: 'arrow-right', primary: true, disabled: data.forget === null, onClick: () => send({ type: 'step', step: 'find' }) })}
      </div>
    </div>
    ${model.unsupported.map((text) => banner('warning', 'Limited.', text))}
    ${
      model.plan.peakBytes > model.plan.budgetBytes
        ? banner(
            'warning',
            'Not enough memory to read this model.',
            `Reading needs ${bytes(model.plan.peakBytes)}; ${bytes(model.plan.budgetBytes)} is allowed. Close other programs and allow the engine more.`,
            ui.button({ label: 'Open setting', onClick: () => send({ type: 'problem', action: 'memorySetting' }) }),
          )
        : nothing
    }
    <div class="columns">
      <div class="main">
        ${card({ title: 'What can be edited', help: 'Every square is a routed expert. Filled squares at the right end are shared experts: they see every token and are never edited. Dense layers have no experts.' }, architecture(model))}
        ${dataCard(context)} ${previewCard(context)}
      </div>
      <div class="side">${card({ title: 'Facts' }, modelFacts(model))} ${card({ title: 'Engine', help: 'What computes, and why. The self-test compares a matrix product with the same product in float64 and times another one.' }, engineFacts(context, model), selfTest(context))}</div>
    </div>
  `;
}
