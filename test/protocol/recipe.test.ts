import fs from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Fault, sentence, unwrap } from '../../src/protocol/fault';
import {
  applyPreset,
  memoryBytes,
  methodIds,
  moveRecipePaths,
  nearestName,
  parseRecipe,
  presets,
  type Recipe,
  type Resolution,
  recipeDefaults,
  recipeJsonSchema,
  recipePaths,
  resolveRecipe,
} from '../../src/protocol/recipe';

const least = { model: 'm', forget: 'f.jsonl' };
const base = { ...least, retain: 'r.jsonl' };

const resolved = (json: unknown): Resolution => unwrap(resolveRecipe(unwrap(parseRecipe(json))));
function faultIn(json: unknown): Fault {
  const parsed = parseRecipe(json);
  if (!parsed.ok) return parsed.fault;
  const result = resolveRecipe(parsed.value);
  return result.ok ? expect.fail(`understood: ${JSON.stringify(json)}`) : result.fault;
}

describe('a recipe with only what it must have', () => {
  it('gets every default of the text', () => {
    expect(resolved(base)).to.deep.equal({
      warnings: [],
      recipe: {
        ...base,
        target: 'auto',
        train: 'expert+router',
        method: 'npo',
        methodOptions: { beta: 0.1 },
        anchor: { weight: 1, form: 'paper' },
        retainLoss: { kind: 'nll', weight: 1 },
        routerProjection: false,
        optimizer: { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, schedule: 'constant', warmup: 0, clipNorm: null },
        steps: 100,
        batchSize: 16,
        accumulate: 1,
        order: 'shuffled',
        maxLength: 512,
        addDocumentStart: null,
        chat: 'auto',
        seed: 0,
        checks: null,
        stop: null,
        keep: 'last',
        evaluate: null,
        scoring: { options: 'likelihood', normalise: 'none' },
        memory: 8e9,
        backend: 'auto',
        threads: 'auto',
        precision: 'exact',
        fingerprints: null,
      },
    });
  });

  for (const [method, options, retainKind] of [
    ['npo', { beta: 0.1 }, 'nll'],
    ['gdiff', {}, 'nll'],
    ['ga', {}, 'none'],
    ['simnpo', { beta: 4.5, delta: 0 }, 'nll'],
    ['rmu', { c: 300, retainWeight: 100, controlVector: 'seed' }, 'none'],
  ] as const) {
    it(`gets the defaults of ${method}`, () => {
      const { recipe } = resolved({ ...base, method });
      expect(recipe.methodOptions).to.deep.equal(options);
      expect(recipe.retainLoss).to.deep.equal({ kind: retainKind, weight: 1 });
    });
  }

  it('has no anchor where the router does not train, unless it is written out', () => {
    expect(resolved({ ...base, train: 'expert' }).recipe.anchor).to.deep.equal({ weight: 0, form: 'paper' });
    expect(resolved({ ...base, train: 'expert', anchor: { form: 'released' } }).recipe.anchor).to.deep.equal({ weight: 0, form: 'released' });
    expect(resolved({ ...base, train: 'expert', anchor: { weight: 3 } }).recipe.anchor).to.deep.equal({ weight: 3, form: 'paper' });
    expect(resolved({ ...base, train: 'router', anchor: { form: 'released' } }).recipe.anchor).to.deep.equal({ weight: 1, form: 'released' });
  });

  it('takes a retain loss for GA and RMU where one is written out', () => {
    for (const method of ['ga', 'rmu'])
      expect(resolved({ ...base, method, retainLoss: { kind: 'kl', weight: 0.5 } }).recipe.retainLoss).to.deep.equal({ kind: 'kl', weight: 0.5 });
  });

  it('says in one warning that there is no retain set', () => {
    for (const method of methodIds) {
      const { recipe, warnings } = resolved({ ...least, method });
      expect(recipe.retainLoss.kind, method).to.equal('none');
      expect(recipe.retain).to.equal(null);
      expect(warnings, method).to.have.length(1);
      expect(warnings[0]).to.include('retain');
      if (recipe.method === 'rmu') expect(recipe.methodOptions.retainWeight).to.equal(0);
    }
    const { recipe, warnings } = resolved({ ...least, method: 'rmu', methodOptions: { retainWeight: 30 } });
    expect(recipe.methodOptions).to.include({ retainWeight: 0 });
    expect(warnings).to.have.length(1);
  });

  it('leaves stop rules off that are not written', () => {
    const { recipe } = resolved({ ...base, checks: { forget: 'c.jsonl' }, stop: { forgetAtMost: 0.3 } });
    expect(recipe.stop).to.deep.equal({ forgetAtMost: 0.3, utilityDropAtMost: null, nllRiseAtMost: null, patience: 1 });
    expect(recipe.checks).to.deep.equal({ everySteps: 10, forget: 'c.jsonl', utility: [] });
  });

  it('warns of a utility rule that nothing measures', () => {
    expect(resolved({ ...base, checks: { forget: 'c' }, stop: { utilityDropAtMost: 0.05 } }).warnings).to.have.length(1);
    expect(resolved({ ...base, checks: { forget: 'c', utility: ['u'] }, stop: { utilityDropAtMost: 0.05 } }).warnings).to.deep.equal([]);
  });
});

describe('reading a recipe', () => {
  it('takes null for absent at every level', () => {
    const nulls = Object.fromEntries(
      Object.keys(resolved(base).recipe)
        .filter((name) => !(name in base))
        .map((name) => [name, null]),
    );
    expect(resolved({ ...base, ...nulls })).to.deep.equal(resolved(base));
    expect(resolved({ ...base, optimizer: { lr: null, clipNorm: null }, methodOptions: { delta: null, beta: null }, anchor: { form: null } })).to.deep.equal(
      resolved(base),
    );
    expect(faultIn({ model: null, forget: 'f' }).message).to.equal('The recipe lacks "model".');
    expect(faultIn({ ...base, checks: { forget: 'c', utility: [null] } }).message).to.include('checks.utility[0]');
  });

  it('understands every form of the text', () => {
    for (const json of [
      { target: { layer: 16, expert: 20 } },
      {
        target: {
          experts: [
            { layer: 1, expert: 2 },
            { layer: 2, expert: 2 },
          ],
        },
      },
      { target: { random: 7 } },
      { target: { esft: 'file.json' } },
      { method: 'rmu', methodOptions: { c: { timesHiddenNorm: 8 }, controlVector: { file: 'u.safetensors', tensor: 'u' } } },
      { anchor: { weight: 0, form: 'released' } },
      { routerProjection: false },
      { optimizer: { schedule: 'cosine', warmup: 5, clipNorm: 1, weightDecay: 0.01 } },
      { batchSize: 'all', accumulate: 4, order: 'sequential', threads: 2, backend: 'wasm', precision: 'fast', addDocumentStart: true, chat: 'never' },
      { checks: { everySteps: 5, forget: 'a', utility: ['b', 'c'] }, stop: { patience: 2 }, keep: 'best' },
      { evaluate: { forget: 'a', near: 'b', utility: ['c'] }, scoring: { options: 'lettered', normalise: 'bytes' } },
      { fingerprints: { model: 'abc', '/data/f.jsonl': 'sha256' } },
      { retainLoss: { kind: 'kl' } },
    ]) {
      const { recipe } = resolved({ ...base, ...json });
      for (const [name, value] of Object.entries(json)) {
        if (typeof value === 'object') expect(recipe[name as keyof typeof recipe], name).to.deep.include(value);
        else expect(recipe[name as keyof typeof recipe], name).to.equal(value);
      }
    }
  });

  it('accepts settings that have no effect', () => {
    for (const json of [
      { train: 'expert', anchor: { weight: 1 } },
      { retainLoss: { kind: 'nll', weight: 0 } },
      { keep: 'best' },
      { method: 'rmu', methodOptions: { retainWeight: 0 } },
      { batchSize: 'all', order: 'shuffled' },
    ]) {
      expect(resolved({ ...base, ...json }).recipe).to.be.an('object');
    }
    expect(resolved({ ...least, retainLoss: { kind: 'none' } }).recipe.retainLoss.kind).to.equal('none');
    expect(resolved({ ...least, retainLoss: { kind: 'nll', weight: 0 } }).recipe.retainLoss.kind).to.equal('none');
  });

  const faults: readonly (readonly [object, ...string[]])[] = [
    [{ optimiser: {} }, '"optimiser"', 'Did you mean "optimizer"?'],
    [{ Steps: 3 }, '"Steps"', 'Did you mean "steps"?'],
    [{ optimizer: { lrr: 1 } }, '"optimizer.lrr"', 'Did you mean "optimizer.lr"?'],
    [{ optimizer: { lr: 'fast' } }, '"optimizer.lr" is "fast"', 'a number above 0'],
    [{ optimizer: { lr: 0 } }, '"optimizer.lr" is 0', 'a number above 0'],
    [{ optimizer: { beta1: 1 } }, '"optimizer.beta1"', 'below 1'],
    [{ methodOptions: { delta: 1 } }, '"methodOptions.delta"', '"simnpo"', 'not of method "npo"', 'Did you mean "methodOptions.beta"?'],
    [{ methodOptions: { bta: 1 } }, 'unknown field "methodOptions.bta"', 'Did you mean "methodOptions.beta"?'],
    [{ method: 'rmu', methodOptions: { retainweight: 1 } }, '"methodOptions.retainweight"', 'Did you mean "methodOptions.retainWeight"?'],
    [{ method: 'rmu', methodOptions: { beta: 1 } }, 'option of "npo" and "simnpo", not of method "rmu"'],
    [{ method: 'ga', methodOptions: { beta: 1 } }, 'Method "ga" has no options'],
    [{ method: 'gdiff', methodOptions: { constructor: 1 } }, 'unknown field "methodOptions.constructor"'],
    [{ methodOptions: 0.1 }, '"methodOptions" is 0.1'],
    [{ method: 'NPPO' }, '"method" is "NPPO"', 'Did you mean "npo"?'],
    [{ method: 'rmu', methodOptions: { c: { timesHiddenNrm: 8 } } }, '"methodOptions.c.timesHiddenNrm"', 'Did you mean "methodOptions.c.timesHiddenNorm"?'],
    [{ method: 'rmu', methodOptions: { controlVector: { file: 'x' } } }, '"methodOptions.controlVector"', '{"file", "tensor"}'],
    [{ target: { layer: 1, expret: 2 } }, '"target.expret"', 'Did you mean "target.expert"?'],
    [{ target: { layer: 1 } }, '"target"', '{"layer", "expert"}'],
    [{ target: { layer: -1, expert: 2 } }, '"target.layer" is -1', 'at least 0'],
    [{ target: { experts: [] } }, '"target.experts" is an empty list'],
    [{ target: { experts: [{ layer: 1, expret: 2 }] } }, '"target.experts[0].expret"', 'Did you mean "target.experts[0].expert"?'],
    [
      {
        target: {
          experts: [
            { layer: 1, expert: 2 },
            { layer: 1, expert: 2 },
          ],
        },
      },
      'layer 1 expert 2 twice',
    ],
    [{ target: 'best' }, '"target" is "best"', '"auto"', '{"random"}'],
    [{ steps: 1.5 }, '"steps" is 1.5', 'whole number'],
    [{ steps: '10' }, '"steps" is "10"', 'whole number'],
    [{ steps: 0 }, '"steps" is 0'],
    [{ batchSize: 'al' }, '"batchSize" is "al"', 'Did you mean "all"?'],
    [{ addDocumentStart: 'yes' }, '"addDocumentStart" is "yes"', 'true or false'],
    [{ checks: { everySteps: 5 } }, 'lacks "checks.forget"'],
    [{ checks: { forget: 'a', utility: 'b' } }, '"checks.utility" is "b"', 'a list of text'],
    [{ stop: { forgetAtMost: 0.3 } }, '"stop"', '"checks"'],
    [{ forget: '' }, '"forget" is empty'],
    [{ forget: 3 }, '"forget" is 3', 'text'],
    [{ fingerprints: { model: 1 } }, '"fingerprints.model" is 1'],
    [{ memory: '8 elephants' }, '"memory"', '8GB'],
    [{ anchor: { weight: -1 } }, '"anchor.weight" is -1', 'at least 0'],
    [{ scoring: { normalise: 'byte' } }, '"scoring.normalise"', 'Did you mean "bytes"?'],
  ];
  for (const [json, ...parts] of faults) {
    it(`refuses ${JSON.stringify(json)}`, () => {
      const fault = faultIn({ ...base, ...json });
      expect(fault.code).to.equal('bad-data');
      for (const part of parts) expect(sentence(fault)).to.include(part);
    });
  }

  it('names the misspelt field before what is missing because of it', () => {
    expect(sentence(faultIn({ modle: 'm', forget: 'f' }))).to.equal('The recipe has an unknown field "modle". Did you mean "model"?');
  });

  it('refuses what is no object, and a retain loss without a retain set', () => {
    for (const json of [null, [], 'recipe', 3, undefined]) expect(faultIn(json).message).to.include('JSON object');
    for (const retainLoss of [{ kind: 'nll' }, { kind: 'kl', weight: 2 }, { weight: 1 }])
      expect(faultIn({ ...least, retainLoss }).message).to.include('no "retain" set');
  });

  it('trains all parameters, LoRA adapters or whole kinds of parts; the anchor is on where the router of the target trains', () => {
    const anchorOf = (train: unknown, target: unknown = 'auto') => resolved({ ...base, train, target }).recipe.anchor.weight;
    expect(anchorOf('full')).to.equal(0);
    expect(anchorOf({ lora: {} })).to.equal(0);
    expect(anchorOf({ components: [{ kind: 'expert' }] })).to.equal(0);
    expect(anchorOf({ components: [{ kind: 'expert' }, { kind: 'router' }] })).to.equal(1);
    const routers = { components: [{ kind: 'router', layers: [2] }] };
    expect(anchorOf(routers, { layer: 2, expert: 0 })).to.equal(1);
    expect(anchorOf(routers, { layer: 3, expert: 0 })).to.equal(0);
    expect(resolved({ ...base, train: { lora: {} } }).recipe.train).to.deep.equal({ lora: { rank: 8, alpha: 16 } });
    expect(resolved({ ...base, train: { lora: { rank: 4, alpha: 1 } } }).recipe.train).to.deep.equal({ lora: { rank: 4, alpha: 1 } });
    expect(faultIn({ ...base, train: { components: [{ kind: 'router', experts: [1] }] } }).message).to.include('"experts" has no meaning');
    expect(faultIn({ ...base, train: { components: [{ kind: 'head', layers: [1] }] } }).message).to.include('"layers" has no meaning');
    expect(faultIn({ ...base, train: { components: [{ kind: 'routers' }] } }).remedy).to.include('"router"');
    expect(faultIn({ ...base, train: { lora: { ranks: 4 } } }).remedy).to.include('rank');
    expect(resolved({ ...base, routerProjection: true }).recipe.routerProjection).to.equal(true);
  });

  it('never throws, whatever the JSON', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json().map((text) => JSON.parse(text) as unknown),
          fc.dictionary(fc.constantFrom(...Object.keys(resolved(base).recipe)), fc.jsonValue()),
        ),
        (json) => {
          const result = parseRecipe(json);
          if (!result.ok) expect(result.fault.message).to.match(/\.$/);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('reads the recipe of the demo', () => {
    const { recipe, warnings } = resolved(JSON.parse(fs.readFileSync('demo/recipe.uoe.json', 'utf8')));
    expect(warnings).to.deep.equal([]);
    expect(recipe).to.include({ method: 'npo', train: 'expert+router', addDocumentStart: true });
  });
});

describe('a resolved recipe', () => {
  const some = fc.record(
    {
      retain: fc.constantFrom('r.jsonl', null),
      train: fc.constantFrom('expert', 'router', 'expert+router', 'full', { lora: { rank: 2 } }, { components: [{ kind: 'router', layers: [1] }] }, null),
      method: fc.constantFrom(...methodIds, null),
      anchor: fc.constantFrom({ weight: 0 }, { form: 'released' }, {}, null),
      target: fc.constantFrom('auto', { random: 3 }, { layer: 1, expert: 0 }, { esft: 'x.json' }),
      batchSize: fc.constantFrom('all', 3),
      memory: fc.constantFrom('512MB', '1.5GiB', 123456),
      optimizer: fc.constantFrom({ lr: 1 }, { clipNorm: 1, schedule: 'linear' }),
      checks: fc.constantFrom({ forget: 'c' }, { forget: 'c', utility: ['u'], everySteps: 3 }),
      evaluate: fc.constantFrom({}, { near: 'n' }, { utility: ['u'] }),
      fingerprints: fc.constantFrom({ model: 'x' }, null),
    },
    { requiredKeys: [] },
  );

  it('is a recipe, and resolves to itself', () => {
    fc.assert(
      fc.property(some, (fields) => {
        const once = resolved({ ...least, ...fields });
        expect(resolved(JSON.parse(JSON.stringify(once.recipe)))).to.deep.equal(once);
      }),
    );
  });
});

describe('memory sizes', () => {
  it('are decimal or binary, or plain bytes', () => {
    for (const [text, bytes] of [
      ['8GB', 8e9],
      ['512MB', 512e6],
      ['1.5GiB', 1.5 * 2 ** 30],
      ['1 kb', 1000],
      ['2g', 2e9],
      ['100', 100],
      ['.5KiB', 512],
      ['1TB', 1e12],
    ] as const)
      expect(unwrap(memoryBytes(text)), text).to.equal(bytes);
    expect(unwrap(memoryBytes(4096))).to.equal(4096);
    for (const text of ['', 'GB', '8XB', '-1GB', '0', '1e400', '8GB please', 'NaN', '99999999TB']) expect(memoryBytes(text).ok, text).to.equal(false);
  });
});

describe('defaults of the recipe', () => {
  it('each name a source and a field that the recipe has', () => {
    const schema = recipeJsonSchema() as { properties: Record<string, { anyOf?: { properties?: object }[] }> };
    for (const { field, source } of recipeDefaults) {
      expect(source, field).to.match(/\S/);
      const [first, second] = field.split('.');
      expect(schema.properties, field).to.have.property(first);
      if (second !== undefined)
        expect(
          schema.properties[first].anyOf?.some(({ properties }) => properties && second in properties),
          field,
        ).to.equal(true);
    }
  });

  it('are what resolving gives: all of those that hold always', () => {
    const { recipe } = resolved({ ...base, checks: { forget: 'c' }, stop: {} });
    for (const { field, value, when } of recipeDefaults.filter((row) => row.when === undefined)) {
      const actual = field.split('.').reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], recipe);
      expect(actual, `${field} ${when}`).to.deep.equal(field === 'memory' ? 8e9 : value);
    }
  });

  it('cover every field that a resolved recipe has and a person may leave out', () => {
    const covered = new Set(recipeDefaults.map(({ field }) => field.split('.')[0]));
    const absent = ['model', 'forget', 'retain', 'evaluate', 'fingerprints'];
    for (const field of Object.keys(resolved(base).recipe)) if (!absent.includes(field)) expect(covered.has(field), field).to.equal(true);
  });
});

describe('presets', () => {
  for (const { id } of presets) {
    it(`${id} makes a recipe that resolves, and replaces another method's options`, () => {
      const written = unwrap(
        applyPreset(unwrap(parseRecipe({ ...base, method: 'rmu', methodOptions: { c: 5 }, seed: 9, optimizer: { lr: 9, eps: 1e-5 } })), id),
      );
      const { recipe, warnings } = resolved(JSON.parse(JSON.stringify(written)));
      expect(warnings).to.deep.equal([]);
      expect(recipe).to.include({ model: 'm', forget: 'f.jsonl', seed: 9 });
      expect(recipe.optimizer.eps).to.equal(1e-5);
      expect(recipe.optimizer.lr).to.not.equal(9);
    });
  }

  it('hold the measured and published values', () => {
    const of = (id: string) => resolved(unwrap(applyPreset(unwrap(parseRecipe(base)), id))).recipe;
    expect(of('demo-rmu')).to.deep.include({ method: 'rmu', methodOptions: { c: { timesHiddenNorm: 8 }, retainWeight: 30, controlVector: 'seed' } });
    expect(of('demo-rmu').optimizer).to.include({ lr: 1e-2, clipNorm: 1, warmup: 5 });
    expect(of('demo-npo').optimizer.lr).to.equal(3e-3);
    expect(of('demo-ga')).to.deep.include({ steps: 35, retainLoss: { kind: 'none', weight: 1 } });
    expect(of('paper')).to.deep.include({ method: 'npo', methodOptions: { beta: 0.001 }, batchSize: 16 });
    expect(of('released')).to.include({ batchSize: 128, accumulate: 4, maxLength: 1024 });
  });

  it('ask for no retain loss where there is no retain set', () => {
    for (const { id } of presets) expect(resolved(unwrap(applyPreset(unwrap(parseRecipe(least)), id))).recipe.retainLoss.kind, id).to.equal('none');
  });

  it('that are unknown are refused with the nearest name', () => {
    const result = applyPreset(base as Recipe, 'demo-npr');
    expect(result.ok ? '' : sentence(result.fault)).to.include('Did you mean "demo-npo"?');
  });
});

describe('paths of a recipe', () => {
  const full = {
    ...base,
    target: { esft: 'e.json' },
    method: 'rmu',
    methodOptions: { controlVector: { file: 'u.st', tensor: 'u' } },
    checks: { forget: 'cf', utility: ['cu0', 'cu1'] },
    evaluate: { forget: 'ef', near: 'en', utility: ['eu'] },
  };

  it('are all named, as written and as resolved', () => {
    const expected = [
      ['model', 'm'],
      ['forget', 'f.jsonl'],
      ['retain', 'r.jsonl'],
      ['target.esft', 'e.json'],
      ['methodOptions.controlVector.file', 'u.st'],
      ['checks.forget', 'cf'],
      ['checks.utility[0]', 'cu0'],
      ['checks.utility[1]', 'cu1'],
      ['evaluate.forget', 'ef'],
      ['evaluate.near', 'en'],
      ['evaluate.utility[0]', 'eu'],
    ].map(([field, path]) => ({ field, path }));
    expect(recipePaths(unwrap(parseRecipe(full)))).to.deep.equal(expected);
    expect(recipePaths(resolved(full).recipe)).to.deep.equal(expected);
    expect(recipePaths(resolved(least).recipe).map(({ field }) => field)).to.deep.equal(['model', 'forget']);
  });

  it('move together, and nothing else does', () => {
    const recipe = unwrap(parseRecipe(full));
    expect(moveRecipePaths(recipe, (path) => path)).to.deep.equal(recipe);
    const moved = moveRecipePaths(recipe, (path) => `/x/${path}`);
    expect(recipePaths(moved).map(({ path }) => path)).to.deep.equal(recipePaths(recipe).map(({ path }) => `/x/${path}`));
    expect(moved.methodOptions?.controlVector).to.deep.equal({ file: '/x/u.st', tensor: 'u' });
    expect(unwrap(parseRecipe(least))).to.deep.equal(moveRecipePaths(least as Recipe, (path) => path));
  });
});

describe('JSON Schema of the recipe', () => {
  it('requires model and forget, knows no other fields, takes null for the rest', () => {
    const schema = recipeJsonSchema() as {
      required: string[];
      additionalProperties: boolean;
      properties: Record<string, { anyOf?: object[]; default?: unknown; description?: string }>;
    };
    expect(schema.required).to.deep.equal(['model', 'forget']);
    expect(schema.additionalProperties).to.equal(false);
    for (const [name, property] of Object.entries(schema.properties)) {
      expect(property.description ?? '', name).to.match(/\S/);
      if (!schema.required.includes(name)) expect(property.anyOf, name).to.deep.include({ type: 'null' });
    }
    expect(schema.properties.steps.default).to.equal(100);
    expect(JSON.parse(JSON.stringify(schema))).to.deep.equal(schema);
  });
});

describe('nearest name', () => {
  it('is the one with the fewest edits', () => {
    expect(nearestName('optimiser', ['order', 'optimizer', 'steps'])).to.equal('optimizer');
    expect(nearestName('x', [])).to.equal(undefined);
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), fc.nat(), (names, i) => {
        const name = names[i % names.length];
        expect(nearestName(name, names)?.toLowerCase()).to.equal(name.toLowerCase());
      }),
    );
  });
});
