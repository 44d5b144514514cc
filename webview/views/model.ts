/** Step 1: what was opened, what can be edited, which data are ready. */
import { html, nothing, type TemplateResult } from 'lit';
import { bytes, count, parameters } from '../../src/protocol/numbers';
import { demoOffer, openedFamilies } from '../../src/protocol/offer';
import type { ModelView } from '../../src/protocol/workbench';
import { rich, t } from '../text';
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
    <h1>${t('No model yet')}</h1>
    <p>${t('Open a Mixture-of-Experts checkpoint (safetensors), or start with the demo model that comes with UOE.')}</p>
    ${forget ? html`<p>${rich('The prompts to forget are kept: {0}. They are read once a model is open.', html`<code>${forget.name}</code>`)}</p>` : ''}
    <div class="actions">
      ${ui.button({ label: t('Open checkpoint folder…'), icon: 'folder-opened', primary: true, onClick: () => send({ type: 'problem', action: 'openCheckpoint' }) })}
      ${ui.button({ label: t('Use the demo model'), icon: 'beaker', onClick: () => send({ type: 'problem', action: 'useDemo' }) })}
    </div>
    <p class="dim">${t('The demo has {0} MoE layers × {1} experts and {2} parameters. Families that can be opened: {3}.', count(demoOffer.moeLayers), count(demoOffer.experts), parameters(demoOffer.parameters), openedFamilies.join(', '))}</p>
  </div>`;
}

/** One row per decoder layer: a square per routed expert, a dashed bar for a dense layer. */
function architecture(model: ModelView): TemplateResult {
  const rows = Array.from({ length: model.layers }, (_, layer) =>
    model.moeLayers.includes(layer)
      ? html`<div class="layer-row"><span>L${layer}</span><div>${Array.from({ length: model.experts }, () => html`<i></i>`)}${Array.from({ length: model.sharedExperts }, () => html`<em></em>`)}</div></div>`
      : html`<div class="layer-row"><span>L${layer}</span><div class="dense">${t('dense')}</div></div>`,
  );
  const { layers, moeLayers, experts, sharedExperts } = model;
  const label =
    sharedExperts > 0
      ? t('{0} layers, {1} of them with {2} routed experts and {3} shared', layers, moeLayers.length, experts, sharedExperts)
      : t('{0} layers, {1} of them with {2} routed experts', layers, moeLayers.length, experts);
  return html`<div class="architecture" role="img" aria-label=${label}>${rows}</div>`;
}

/** `layer 0 is dense`, `layers 0–2 are dense`; empty where every layer has experts. */
export function denseWords({ layers, moeLayers }: Pick<ModelView, 'layers' | 'moeLayers'>): string {
  const dense = Array.from({ length: layers }, (_, layer) => layer).filter((layer) => !moeLayers.includes(layer));
  if (dense.length === 0) return '';
  if (dense.length === 1) return t('layer {0} is dense', dense[0]);
  const isRun = dense[dense.length - 1] - dense[0] === dense.length - 1;
  return t('layers {0} are dense', isRun ? `${dense[0]}–${dense[dense.length - 1]}` : dense.join(', '));
}

function modelFacts(model: ModelView): Content {
  const routed =
    model.sharedExperts > 0 ? t('{0} routed + {1} shared', count(model.experts), count(model.sharedExperts)) : t('{0} routed', count(model.experts));
  return facts([
    [t('Family'), model.family],
    [
      t('Parameters'),
      parameters(model.parameters.total),
      t('{0} used per token, {1} per expert', parameters(model.parameters.active), parameters(model.parameters.perExpert)),
    ],
    [t('MoE layers'), count(model.moeLayers.length), denseWords(model)],
    [t('Experts'), routed, `top-${model.topK}`],
    [t('Hidden size'), count(model.hiddenSize)],
    [t('Vocabulary'), count(model.vocabSize)],
    [
      t('Tokenizer'),
      model.tokenizer ? t('{0}, {1} entries', model.tokenizer.kind, count(model.tokenizer.vocabulary)) : t('none'),
      model.tokenizer ? (model.tokenizer.chatTemplate ? t('with a chat template') : undefined) : t('works on rows of input_ids'),
    ],
    [t('Stored as'), model.dtype, bytes(model.bytes)],
    [t('Tensors'), count(model.tensors), model.shards === 1 ? t('in {0} file', count(model.shards)) : t('in {0} files', count(model.shards))],
    [t('Fingerprint'), `${model.fingerprint.replace(/^sha256:/, '').slice(0, 8)}…`],
  ]);
}

const statusWords = { off: t('off'), starting: t('starting'), ready: t('ready'), stopped: t('stopped') };

function engineFacts({ state }: ViewContext, { plan }: ModelView): Content {
  const { backend, status } = state.engine;
  const { doctor } = state;
  const memory: readonly (readonly [string, string, string?])[] = [
    [
      t('Memory'),
      t('{0} needed to read', bytes(plan.peakBytes)),
      doctor ? t('{0} allowed, {1} free on this machine', bytes(plan.budgetBytes), bytes(doctor.memory.free)) : t('{0} allowed', bytes(plan.budgetBytes)),
    ],
  ];
  if (!backend) return facts([[t('Engine'), statusWords[status]], ...memory]);
  return facts([
    [t('Backend'), backend.name, backend.why],
    [t('Threads'), count(backend.threads)],
    ...(backend.faster ? ([[t('Faster'), backend.faster]] as const) : []),
    ...memory,
  ]);
}

/** The engine's arithmetic against float64, tried when asked for. */
function selfTest({ state, send }: ViewContext): Content {
  const { doctor, job } = state;
  const test = ui.button({
    label: doctor ? t('Test again') : t('Test the engine'),
    icon: 'beaker',
    disabled: job !== null,
    onClick: () => send({ type: 'doctor' }),
  });
  if (!doctor) return html`<div class="self-test"><span class="dim">${t('Self-test: not run yet')}</span>${test}</div>`;
  const { selfTest: result, backends, disk, missing } = doctor;
  const measured = backends.filter((backend) => backend.gigaflops !== null);
  const others = backends.filter((backend) => backend.gigaflops === null);
  const read = disk.checkpoint ? disk.checkpoint.read : disk.read;
  return html`<div class="self-test">
      ${result.passed ? verdict('ok', t('Self-test passed')) : verdict('bad', t('Self-test failed: do not trust results of this backend'))}${test}
    </div>
    ${facts([
      [t('Largest error of a product'), result.error.toExponential(1), t('against float64, relative to its largest element')],
      ...measured.map(
        (backend) =>
          [
            t('Speed'),
            `${backend.gigaflops?.toFixed(1)} GFLOP/s`,
            backend.threads === 1 ? t('{0}, {1} thread', backend.name, count(backend.threads)) : t('{0}, {1} threads', backend.name, count(backend.threads)),
          ] as const,
      ),
      ...others.map((backend) => [t('Not available'), backend.name, backend.note] as const),
      ...(read === null ? [] : [[t('Disk'), t('reads {0}/s', bytes(read)), disk.checkpoint ? disk.checkpoint.file : disk.folder] as const]),
    ])}
    ${sentences(missing, t('What is missing'))}`;
}

export function modelStep(context: ViewContext): TemplateResult {
  const { state, send } = context;
  const { model, data, job } = state;
  if (!model) {
    if (job) return loading(job.title, job);
    return state.problem && isProblemPage(state) ? problemPage(state.problem, send) : empty(context);
  }
  const { moeLayers, experts, topK, sharedExperts } = model;
  const layers = count(moeLayers.length);
  const routed =
    moeLayers.length === 1
      ? t('{0} MoE layer × {1} experts, {2} chosen per token', layers, count(experts), count(topK))
      : t('{0} MoE layers × {1} experts, {2} chosen per token', layers, count(experts), count(topK));
  const shape = sharedExperts > 0 ? t('{0}, {1} shared', routed, count(sharedExperts)) : routed;
  return html`
    <div class="headline">
      <div>
        <h1>${model.name}</h1>
        <p>${shape}. ${t('The files on disk stay as they are until you export or apply.')}</p>
      </div>
      <div class="actions">
        ${ui.button({ label: t('Open another…'), icon: 'folder-opened', onClick: () => send({ type: 'problem', action: 'openCheckpoint' }) })}
        ${ui.button({ label: t('Find expert'), icon: 'arrow-right', primary: true, disabled: data.forget === null, onClick: () => send({ type: 'step', step: 'find' }) })}
      </div>
    </div>
    ${(model.notes ?? []).map((text) => banner('info', t('On disk.'), text))}
    ${model.unsupported.map((text) => banner('warning', t('Limited.'), text))}
    ${
      model.plan.peakBytes > model.plan.budgetBytes
        ? banner(
            'warning',
            t('Not enough memory to read this model.'),
            t('Reading needs {0}; {1} is allowed. Close other programs and allow the engine more.', bytes(model.plan.peakBytes), bytes(model.plan.budgetBytes)),
            ui.button({ label: t('Open setting'), onClick: () => send({ type: 'problem', action: 'memorySetting' }) }),
          )
        : nothing
    }
    <div class="columns">
      <div class="main">
        ${card({ title: t('What can be edited'), help: t('Every square is a routed expert. Filled squares at the right end are shared experts: they see every token and are never edited. Dense layers have no experts.') }, architecture(model))}
        ${dataCard(context)} ${previewCard(context)}
      </div>
      <div class="side">${card({ title: t('Facts') }, modelFacts(model))} ${card({ title: t('Engine'), help: t('What computes, and why. The self-test compares a matrix product with the same product in float64 and times another one.') }, engineFacts(context, model), selfTest(context))}</div>
    </div>
  `;
}
