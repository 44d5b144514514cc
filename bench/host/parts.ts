/** The bench's part inside the extension host of a real VS Code: does one thing after another, each when the launcher asks for it. */
import fs from 'node:fs';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as vscode from 'vscode';
import type { ExtensionApi } from '../../src/extension/extension';
import { ranksOf } from '../../src/extension/workbench/heatmap';
import { fileSource } from '../../src/extension/workbench/sources';
import type { HeatmapFigures } from '../../src/protocol/workbench';

const folder = process.env.BENCH_FOLDER ?? '';

/** Figures of a model as large as the largest that is open today, with affinities of a plausible spread. */
function wideFigures(layers: number, experts: number): HeatmapFigures {
  const cells = layers * experts;
  const affinity = Float32Array.from({ length: cells }, (_, cell) => (2 ** (8 * ((cell * 0.6180339887498949) % 1) - 4) / experts) * (cell % 37 === 0 ? 0 : 1));
  const rankInLayer = new Float32Array(cells);
  for (let row = 0; row < layers; row++) rankInLayer.set(ranksOf(affinity.subarray(row * experts, (row + 1) * experts)), row * experts);
  return {
    key: `${layers} x ${experts}`,
    layers: Array.from({ length: layers }, (_, row) => row),
    experts,
    affinity,
    share: affinity,
    slots: affinity.map((value) => Math.round(value * 1e6)),
    retainShare: null,
    rank: ranksOf(affinity),
    rankInLayer,
    timesEqual: affinity.map((value) => value * experts),
    normalised: false,
    half: Float32Array.from({ length: layers }, () => experts / 4),
    best: Float32Array.from({ length: layers }, (_, row) => Math.max(...affinity.subarray(row * experts, (row + 1) * experts))),
  };
}

/** Milliseconds between two of VS Code's own marks of the extension, those that "Show Running Extensions" reads too. */
function between(name: string): number {
  const { MonacoPerformanceMarks: marks } = globalThis as unknown as { MonacoPerformanceMarks: { getMarks(): { name: string; startTime: number }[] } };
  const at = (when: string) => marks.getMarks().find((mark) => mark.name === `code/extHost/${when}${name}/uoe.uoe`)?.startTime ?? Number.NaN;
  return at('did') - at('will');
}

const parts = {
  async activate() {
    const extension = vscode.extensions.getExtension<ExtensionApi>('uoe.uoe');
    if (!extension) throw new Error('The extension is not there.');
    if (extension.isActive) throw new Error('The extension was active before it was asked for.');
    const began = performance.now();
    await extension.activate();
    const total = performance.now() - began;
    return { total, loading: between('LoadExtensionCode'), call: between('ActivateExtension') };
  },
  async open() {
    const at = Date.now();
    await vscode.commands.executeCommand('uoe.showWorkbench');
    return { at };
  },
  async read() {
    const { loop, store } = await api();
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const began = performance.now();
    delay.enable();
    const model = path.join(folder, 'wide');
    await loop.openModel(model, 'wide');
    loop.setData('forget', [fileSource(path.join(model, 'prompts.jsonl'), 'prompts.jsonl')]);
    await loop.read();
    loop.show('find');
    delay.disable();
    const { problem, attribution } = store.get();
    if (!attribution) throw new Error(problem?.text ?? 'Nothing was read.');
    return { ms: performance.now() - began, longest: delay.max / 1e6, experts: attribution.selectable };
  },
  async wide() {
    const { figures, loop } = await api();
    figures.set({ heatmap: wideFigures(94, 128) });
    loop.show('find');
    return {};
  },
  async run() {
    const { loop, store } = await api();
    await vscode.commands.executeCommand('uoe.useDemo');
    loop.show('unlearn');
    while (!store.get().plan?.answer) await new Promise((resolve) => setTimeout(resolve, 50));
    loop.changeSettings({ steps: 60, forgetAtMost: null });
    void loop.start();
    while (store.get().run === null) await new Promise((resolve) => setTimeout(resolve, 20));
    return {};
  },
};

const api = async (): Promise<ExtensionApi> => Promise.resolve(vscode.extensions.getExtension<ExtensionApi>('uoe.uoe')?.activate() as Promise<ExtensionApi>);

/** A file `NAME.ask` asks for a part; its answer, or why there is none, is `NAME.json`. */
export async function run(): Promise<void> {
  for (;;) {
    if (fs.existsSync(path.join(folder, 'end.ask'))) return fs.writeFileSync(path.join(folder, 'ended'), '');
    for (const [name, work] of Object.entries(parts)) {
      const ask = path.join(folder, `${name}.ask`);
      if (!fs.existsSync(ask)) continue;
      fs.rmSync(ask);
      const answer = await work().catch((error: unknown) => ({ error: String(error) }));
      fs.writeFileSync(path.join(folder, `${name}.tmp`), JSON.stringify(answer));
      fs.renameSync(path.join(folder, `${name}.tmp`), path.join(folder, `${name}.json`));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
