/** The native set-up: what goes wrong says so and leaves nothing half-built; what is set up is proved before it is loaded, and again after a crash. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { type Fault, FaultError, type Result } from '../../src/protocol/fault';
import type { Backend } from '../../src/tensor/backend';
import { admit } from '../../src/tensor/native/admission';
import { type NativeManifest, nativeFolder, newManifest, readManifest } from '../../src/tensor/native/place';
import { removeNative, setUpNative, unsupportedHere } from '../../src/tensor/native/setup';
import { backends } from '../backends';
import { runProgram } from './programs/run';

const onTensorflow = backends[0] === 'tensorflow';
let folder = '';
const script = (name: string, body: string): string => {
  const file = path.join(folder, name);
  fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
};
const touch = (...parts: string[]): string => {
  const file = path.join(folder, ...parts);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, '');
  return file;
};
const cache = () => path.join(folder, 'cache');

async function faultOfSetUp(environment: Readonly<Record<string, string>>, signal = new AbortController().signal): Promise<Fault> {
  const before = { ...process.env };
  Object.assign(process.env, environment);
  try {
    await setUpNative(cache(), false, 1, { signal, say: () => undefined });
  } catch (error) {
    if (error instanceof FaultError) return error.fault;
    throw error;
  } finally {
    for (const name of Object.keys(environment)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
  throw new Error('The set-up went well.');
}

/** An addon that is none. */
function writeBroken(): NativeManifest {
  const manifest = newManifest({
    addon: touch('cache', 'addon-x', 'tfjs_binding.node'),
    quiet: touch('cache', 'addon-x', 'quiet_start.node'),
    tensorflow: '2.21.0',
    gpu: false,
    libraries: folder,
    origin: 'fetched',
  });
  fs.writeFileSync(path.join(cache(), 'native.json'), JSON.stringify(manifest));
  return manifest;
}

const left = () => fs.readdirSync(cache()).sort();

describe('native set-up', () => {
  beforeEach(function () {
    if (unsupportedHere() !== null) this.skip();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-native-'));
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  /** A Python that knows no TensorFlow; `pip` is what its pip does. */
  const python = (pip: string) => script('python', `case "$1 $2" in "-m pip") shift 2; ${pip};; esac`);
  /** A Python with a TensorFlow package that looks whole. */
  const installed = () => {
    for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2', 'include/tensorflow/c/c_api.h']) touch('tensorflow', name);
    return script('python', `echo ${path.join(folder, 'tensorflow')}`);
  };

  const cases: Record<string, [environment: () => Record<string, string>, message: RegExp]> = {
    'no Python': [() => ({ PYTHON: path.join(folder, 'absent') }), /^There is no \S+, which fetches and unpacks TensorFlow\.$/],
    'no pip': [() => ({ PYTHON: python('exit 1') }), /has no pip, which fetches TensorFlow\.$/],
    'no network': [
      () => ({ PYTHON: python('[ "$1" = --version ] && exit 0; echo "ERROR: No matching distribution" >&2; exit 1') }),
      /^pip could not fetch tensorflow-cpu 2\.21\.0: ERROR: No matching distribution$/,
    ],
    'another file than expected': [
      () => ({ PYTHON: python('[ "$1" = --version ] && exit 0; echo "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE" >&2; exit 1') }),
      /^What pip fetched for tensorflow-cpu is not the file that UOE expects\.$/,
    ],
    'no compiler': [
      () => ({ PYTHON: installed(), CXX: path.join(folder, 'absent') }),
      /^There is no C\+\+ compiler \(\S+\), which the addon is compiled with\.$/,
    ],
    'a compiler that fails': [
      () => ({ PYTHON: installed(), CXX: script('g++', '[ "$1" = --version ] && exit 0; echo "x.cc:1: error: no member" >&2; exit 1') }),
      /^The addon did not compile: x\.cc:1: error: no member$/,
    ],
  };
  for (const [name, [environment, message]] of Object.entries(cases)) {
    it(`${name}: one sentence, a way out, nothing left`, async () => {
      const fault = await faultOfSetUp(environment());
      expect(fault.message).to.match(message);
      expect(fault.remedy).to.match(/\.$/);
      expect(left()).to.deep.equal([]);
    });
  }

  it('asks pip for the file of the pinned hash', async () => {
    const seen = path.join(folder, 'seen');
    const pip = `[ "$1" = --version ] && exit 0; echo "$@" > ${seen}; for last in "$@"; do :; done; cat "$last" >> ${seen}; exit 1`;
    await faultOfSetUp({ PYTHON: python(pip) });
    const asked = fs.readFileSync(seen, 'utf8');
    expect(asked).to.match(/--require-hashes/);
    expect(asked).to.match(/^tensorflow-cpu==2\.21\.0 --hash=sha256:[0-9a-f]{64}$/m);
  });

  it('a cancel ends what runs and leaves nothing', async () => {
    const cancel = new AbortController();
    const began = Date.now();
    setTimeout(() => cancel.abort(), 300);
    let reason: unknown = null;
    try {
      await faultOfSetUp({ PYTHON: python('[ "$1" = --version ] && exit 0; exec sleep 30') }, cancel.signal);
    } catch (error) {
      reason = error;
    }
    expect((reason as Error).name).to.equal('AbortError');
    expect(Date.now() - began).to.be.lessThan(10_000);
    expect(left()).to.deep.equal([]);
  });

  it('removing it takes away what it made, and nothing else', async () => {
    writeBroken();
    touch('cache', 'tensorflow-2.21.0-cpu', 'tensorflow', 'libtensorflow_cc.so.2');
    touch('cache', 'proof-1.json');
    touch('cache', 'mine.txt');
    expect(await removeNative(cache())).to.deep.equal({ ok: true, value: true });
    expect(left()).to.deep.equal(['mine.txt']);
    expect(await removeNative(cache())).to.deep.equal({ ok: true, value: false });
  });

  describe('choice of the backend', function () {
    this.timeout(60_000);
    const choose = (name: string, hiddenSize?: number) =>
      runProgram('choose', [name, '1', ...(hiddenSize === undefined ? [] : [String(hiddenSize)])], { UOE_NATIVE: cache() }) as Promise<Result<Backend>>;

    it('without a set-up auto is wasm and says how to get a faster one; tensorflow is refused with the way to it', async () => {
      const auto = await choose('auto');
      expect(auto.ok && [auto.value.name, auto.value.faster]).to.deep.equal([
        'wasm',
        'TensorFlow itself is several times as fast. Run "uoe setup-native" (in VS Code: "UOE: Set Up Native Acceleration").',
      ]);
      const asked = await choose('tensorflow');
      expect(asked.ok ? null : [asked.fault.code, asked.fault.message, asked.fault.remedy]).to.deep.equal([
        'not-found',
        `TensorFlow is not set up on this machine (looked in ${cache()}).`,
        'Run "uoe setup-native" (in VS Code: "UOE: Set Up Native Acceleration").',
      ]);
    });

    it('an addon that does not load is found out in another process, once, and auto is wasm with the reason', async () => {
      writeBroken();
      const proofs = new Set<number>();
      for (const time of ['first', 'second']) {
        const auto = await choose('auto');
        expect(auto.ok && auto.value.name, time).to.equal('wasm');
        expect(auto.ok && auto.value.why, time).to.match(
          /^WebAssembly, because TensorFlow can't be used: Backend tensorflow does not run on this machine: .*quiet_start\.node.*setup-native/,
        );
        const [file, ...others] = left().filter((name) => name.startsWith('proof-'));
        expect(others).to.deep.equal([]);
        proofs.add(fs.statSync(path.join(cache(), file)).mtimeMs);
      }
      expect(proofs.size, 'written once').to.equal(1);
    });
  });

  if (onTensorflow) {
    describe('what is set up', function () {
      this.timeout(120_000);
      let manifest: NativeManifest;
      beforeEach(async () => {
        const real = await readManifest(nativeFolder());
        if (!real) throw new Error('The native backend is not set up: run "node tools/native.mjs".');
        manifest = real;
        fs.mkdirSync(cache());
      });
      const proof = (): { why: string | null; crashes: number } => {
        const [name] = left().filter((entry) => entry.startsWith('proof-'));
        return JSON.parse(fs.readFileSync(path.join(cache(), name), 'utf8'));
      };
      const crash = () => {
        const { pid } = spawnSync(process.execPath, ['-e', '']);
        fs.writeFileSync(path.join(cache(), `loading-${os.hostname()}-${pid}-00.json`), '{}');
      };

      it('is proved once; a load that goes well leaves no mark', async () => {
        const first = await admit(cache(), manifest, 1);
        expect(first.ok).to.equal(true);
        expect(proof()).to.deep.equal({ why: null, crashes: 0 });
        const began = Date.now();
        const second = await admit(cache(), manifest, 1);
        expect(Date.now() - began, 'no second proof').to.be.lessThan(500);
        if (!second.ok) throw new Error(second.fault.message);
        const done = await second.value.begin();
        expect(left().filter((name) => name.startsWith('loading-')).length).to.equal(1);
        await done();
        expect(left().filter((name) => name.startsWith('loading-')).length).to.equal(0);
      });

      it('a load that ended its process is followed by another proof, a second one by a refusal, and a good load forgives', async () => {
        await admit(cache(), manifest, 1);
        crash();
        const again = await admit(cache(), manifest, 1);
        expect([again.ok, proof().crashes]).to.deep.equal([true, 1]);
        if (!again.ok) return;
        await (await again.value.begin())();
        expect(proof().crashes).to.equal(0);
        crash();
        crash();
        const refused = await admit(cache(), manifest, 1);
        expect(refused.ok ? null : refused.fault.message).to.match(/^TensorFlow ended 2 processes while it was being loaded/);
        expect((await admit(cache(), manifest, 1)).ok, 'for good').to.equal(false);
      });

      it('auto takes it for large models, keeps wasm for small ones, and prints nothing of its own on stdout', async () => {
        const choose = (hiddenSize: number) =>
          runProgram('choose', ['auto', '1', String(hiddenSize)], { UOE_NATIVE: nativeFolder() }) as Promise<Result<Backend>>;
        const [large, small] = [await choose(2048), await choose(64)];
        expect(large.ok && [large.value.name, large.value.threads]).to.deep.equal(['tensorflow', 1]);
        expect(small.ok && [small.value.name, small.value.why]).to.deep.equal(['wasm', 'WebAssembly is the fastest for a hidden size of 64.']);
      });
    });
  }
});
