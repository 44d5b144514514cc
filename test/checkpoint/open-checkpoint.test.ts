import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { fingerprintOf } from '../../src/checkpoint/fingerprint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { type Result, sentence, unwrap } from '../../src/protocol/fault';
import { temporaryFolder } from '../files/temporary-folder';
import { fileOf, filled, rawFile, shardName, threeShards, writeFolder, writeIndex } from './small-checkpoint';

const said = <T>(result: Result<T>): string => (result.ok ? expect.fail('it went well') : sentence(result.fault));

async function opened<T>(folder: string, work: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = unwrap(await openCheckpoint(folder));
  try {
    return await work(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

describe('opening a checkpoint', () => {
  it('one file, one file with an index, several shards: the same tensors, other files, dtype of most bytes', async () => {
    const tensors = Object.assign({}, ...threeShards()) as ReturnType<typeof threeShards>[0];
    const folders = [writeFolder([tensors]), writeFolder([tensors], { index: true }), writeFolder(threeShards())];
    const prints = new Set<string>();
    for (const folder of folders) {
      await opened(folder, async (checkpoint) => {
        expect([...checkpoint.tensors.keys()].sort()).to.deep.equal(Object.keys(tensors).sort());
        expect(checkpoint.otherFiles).to.include.members(['config.json', 'tokenizer.json']);
        expect(checkpoint.dtype).to.equal('BF16');
        expect(checkpoint.totalBytes).to.equal(Object.values(tensors).reduce((sum, { bytes }) => sum + bytes.length, 0));
        prints.add(unwrap(await checkpoint.fingerprint()));
      });
    }
    expect(prints.size).to.equal(1);
  });

  it('a slice equals that part of the whole tensor', async () => {
    const folder = writeFolder(threeShards());
    await opened(folder, async (checkpoint) => {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...checkpoint.tensors.values()),
          fc.nat(),
          fc.nat(),
          fc.nat(),
          fc.boolean(),
          fc.boolean(),
          async ({ name, shape }, a, b, c, byIndex, byRows) => {
            const whole = unwrap(await checkpoint.read({ name, shape }));
            const index = byIndex ? a % shape[0] : undefined;
            let part: readonly number[] = index === undefined ? shape : shape.slice(1);
            let length = whole.bytes.length / (index === undefined ? 1 : shape[0]);
            let start = (index ?? 0) * length;
            let rows: [number, number] | undefined;
            if (byRows && part.length > 0) {
              rows = [b % (part[0] + 1), c % (part[0] + 1)].sort((x, y) => x - y) as [number, number];
              const row = length / part[0];
              start += rows[0] * row;
              length = (rows[1] - rows[0]) * row;
              part = [rows[1] - rows[0], ...part.slice(1)];
            }
            const slice = unwrap(await checkpoint.read({ name, index, rows, shape: part }));
            expect(slice.bytes).to.deep.equal(whole.bytes.slice(start, start + length));
            expect(slice.shape).to.deep.equal(part);
            const values = unwrap(await checkpoint.readValues({ name, index, rows, shape: part }));
            const all = unwrap(await checkpoint.readValues({ name, shape }));
            const width = whole.bytes.length / all.length;
            expect(values).to.deep.equal(all.slice(start / width, (start + length) / width));
          },
        ),
        { numRuns: 150 },
      );
    });
  });

  it('reading what is not there is one sentence that names the tensor', async () => {
    const folder = writeFolder([
      {
        w: filled('F32', [2, 3]),
        ids: { dtype: 'I64', shape: [1], bytes: Buffer.alloc(8) },
        bad: { dtype: 'F32', shape: [2, 2], bytes: Buffer.from(Float32Array.from([1, 2, NaN, 4]).buffer) },
      },
    ]);
    await opened(folder, async (checkpoint) => {
      expect(said(await checkpoint.read({ name: 'v', shape: [2] }))).to.match(/has no tensor v\./);
      expect(said(await checkpoint.read({ name: 'w', index: 2, shape: [3] }))).to.match(/w of shape \[2, 3\] has no slice 2/);
      expect(said(await checkpoint.read({ name: 'w', rows: [1, 3], shape: [2, 3] }))).to.match(/has no rows 1 to 3/);
      expect(said(await checkpoint.read({ name: 'w', shape: [3, 2] }))).to.match(
        /w in model.safetensors has the shape \[2, 3\] where config.json asks for \[3, 2\]/,
      );
      expect(said(await checkpoint.read({ name: 'ids', shape: [1] }))).to.match(/ids in model.safetensors is stored as I64; UOE reads F32, F16 and BF16/);
      expect(said(await checkpoint.readValues({ name: 'bad', shape: [2, 2] }))).to.match(/Tensor bad of .* holds a NaN or infinity at \[1, 0\]/);
      expect(said(await checkpoint.readValues({ name: 'bad', index: 1, shape: [2] }))).to.match(/bad\[1\] .* at \[0\]/);
    });
  });

  it('says how the weights are quantised', async () => {
    const packed = writeFolder([{ 'w.qweight': { dtype: 'I32', shape: [1], bytes: Buffer.alloc(4) } }]);
    await opened(packed, async ({ quantisation }) =>
      expect(quantisation).to.equal('tensor w.qweight in model.safetensors (I32) is part of a quantised weight'),
    );
    const eight = writeFolder([{ w: { dtype: 'F8_E4M3', shape: [4], bytes: Buffer.alloc(4) } }]);
    await opened(eight, async ({ quantisation }) => expect(quantisation).to.equal('tensor w in model.safetensors is stored as F8_E4M3'));
    const configured = writeFolder([{ w: filled('F32', [1]) }], { config: { quantization_config: { quant_method: 'gptq' } } });
    await opened(configured, async ({ quantisation }) => expect(quantisation).to.equal('config.json has quantization_config with quant_method gptq'));
  });

  it('keeps the originals in other formats apart', async () => {
    const folder = writeFolder([{ w: filled('F32', [1]) }]);
    for (const name of ['pytorch_model.bin', 'consolidated.safetensors', 'model.gguf', 'chat_template.jinja']) fs.writeFileSync(path.join(folder, name), '');
    await opened(folder, async ({ otherFiles, unusedWeights }) => {
      expect(unusedWeights).to.deep.equal(['consolidated.safetensors', 'model.gguf', 'pytorch_model.bin']);
      expect(otherFiles).to.deep.equal(['chat_template.jinja', 'config.json', 'tokenizer.json']);
    });
  });

  it('the fingerprint changes with any byte, name, dtype or the configuration; above the limit it is sampled from every expert', async () => {
    const prints = new Set<string>();
    const print = async (change: (folder: string) => void) => {
      const folder = writeFolder(threeShards());
      change(folder);
      await opened(folder, async (checkpoint) => prints.add(unwrap(await checkpoint.fingerprint())));
    };
    const flip = (file: string, fromEnd: number) => (folder: string) => {
      const bytes = fs.readFileSync(path.join(folder, file));
      bytes[bytes.length - fromEnd] ^= 1;
      fs.writeFileSync(path.join(folder, file), bytes);
    };
    await print(() => undefined);
    await print(() => undefined);
    expect(prints.size).to.equal(1);
    await print(flip(shardName(0, 3), 1));
    await print(flip(shardName(0, 3), 24));
    await print(flip(shardName(2, 3), 132));
    await print((folder) => fs.writeFileSync(path.join(folder, 'config.json'), '{"model_type":"olmoe"}'));
    expect(prints.size).to.equal(5);

    const sampled = async (expert: number): Promise<string> => {
      const up = filled('F32', [4, 200, 200], 2);
      up.bytes[up.bytes.length / 8 + (expert * up.bytes.length) / 4] ^= 1;
      return opened(writeFolder([{ up }]), (checkpoint) => fingerprintOf(checkpoint, undefined, 1000));
    };
    const four = await Promise.all([0, 1, 2, 3].map(sampled));
    expect(new Set(four).size).to.equal(4);
    expect(four[0]).to.match(/^sampled-sha256:[0-9a-f]{64}$/);
  });

  it('a cancelled fingerprint does not stand for the next', async () => {
    await opened(writeFolder([{ w: filled('F32', [3]) }]), async (checkpoint) => {
      expect(said(await checkpoint.fingerprint(AbortSignal.abort()))).to.equal('Cancelled.');
      expect(unwrap(await checkpoint.fingerprint())).to.match(/^sha256:/);
    });
  });

  it('the cache of huggingface_hub, where every file is a link to a blob, is opened', async () => {
    const home = temporaryFolder();
    const folder = writeFolder(threeShards(), { folder: path.join(home, 'snapshots', 'abc') });
    fs.mkdirSync(path.join(home, 'blobs'));
    for (const name of fs.readdirSync(folder)) {
      fs.renameSync(path.join(folder, name), path.join(home, 'blobs', name));
      fs.symlinkSync(path.join('..', '..', 'blobs', name), path.join(folder, name));
    }
    await opened(folder, async (checkpoint) => unwrap(await checkpoint.readValues({ name: 'layers.1.norm', shape: [5] })));
  });
});

describe('a broken checkpoint folder', () => {
  const first = shardName(0, 3);
  const faults: [string, (folder: string) => void, RegExp][] = [
    ['no config.json', (folder) => fs.rmSync(path.join(folder, 'config.json')), /has no config\.json/],
    ['a config.json that is none', (folder) => fs.writeFileSync(path.join(folder, 'config.json'), '{'), /config\.json is not valid JSON/],
    ['a config.json that is a list', (folder) => fs.writeFileSync(path.join(folder, 'config.json'), '[]'), /config\.json is not a JSON object/],
    [
      'a missing shard',
      (folder) => fs.rmSync(path.join(folder, first)),
      /model-00001-of-00003.safetensors is missing; model.safetensors.index.json lists 3 tensors in it/,
    ],
    [
      'a missing index',
      (folder) => fs.rmSync(path.join(folder, 'model.safetensors.index.json')),
      /holds model-00001-of-00003.safetensors, but neither model.safetensors nor/,
    ],
    [
      'an index that points above',
      (folder) => writeIndex(folder, { w: '../evil.safetensors' }),
      /points outside its folder: tensor "w" in "\.\.\/evil.safetensors"/,
    ],
    ['an index with an absolute path', (folder) => writeIndex(folder, { w: '/etc/passwd' }), /points outside its folder/],
    ['an index with a path of Windows', (folder) => writeIndex(folder, { w: 'C:\\x' }), /points outside its folder/],
    ['an index that names the parent', (folder) => writeIndex(folder, { w: '..' }), /points outside its folder/],
    ['an index whose file is a number', (folder) => writeIndex(folder, { w: 1 }), /points outside its folder/],
    ['an index without tensors', (folder) => writeIndex(folder, {}), /lists no tensor/],
    ['an index without a map', (folder) => fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), '{}'), /has no weight_map/],
    [
      'an index with a name twice',
      (folder) => fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), `{"weight_map":{"a":"${first}","a":"${first}"}}`),
      /holds "a" twice/,
    ],
    [
      'a tensor listed that is nowhere',
      (folder) => writeIndex(folder, { 'layers.0.gate': first, ghost: first }),
      /lists tensor ghost in model-00001-of-00003.safetensors, but it is nowhere/,
    ],
    [
      'a tensor listed in the wrong shard',
      (folder) => writeIndex(folder, { 'layers.0.gate': shardName(1, 3), 'layers.0.experts.up': first }),
      /lists tensor layers.0.gate in model-00002.*, but it is in model-00001/,
    ],
    [
      'a tensor in two shards',
      (folder) => fs.copyFileSync(path.join(folder, first), path.join(folder, shardName(1, 3))),
      /Tensor layers\.0\.gate is in two files of .*: model-00001-of-00003.safetensors and model-00002/,
    ],
    [
      'a shard that links out of the folder',
      (folder) => {
        fs.renameSync(path.join(folder, first), path.join(folder, '..', 'out'));
        fs.symlinkSync('../out', path.join(folder, first));
      },
      /is a link that points outside its folder/,
    ],
    [
      'a cut shard',
      (folder) => fs.truncateSync(path.join(folder, first), fs.statSync(path.join(folder, first)).size - 10),
      /model-00001-of-00003.safetensors: it is cut short: 10 of \d+ bytes are missing/,
    ],
    [
      'a shard that is a folder',
      (folder) => {
        fs.rmSync(path.join(folder, first));
        fs.mkdirSync(path.join(folder, first));
      },
      /model-00001-of-00003.safetensors is a folder, not a file; model.safetensors.index.json lists 3 tensors in it\. Get the file itself/,
    ],
    ...(process.platform === 'win32'
      ? []
      : [
          [
            'a shard that is a pipe',
            (folder: string) => {
              fs.rmSync(path.join(folder, first));
              execFileSync('mkfifo', [path.join(folder, first)]);
            },
            /model-00001-of-00003.safetensors is a pipe, not a file/,
          ] as [string, (folder: string) => void, RegExp],
        ]),
  ];
  for (const [what, change, text] of faults) {
    it(`${what}: one sentence, and nothing changed`, async () => {
      const folder = writeFolder(threeShards());
      change(folder);
      const names = fs.readdirSync(folder);
      expect(said(await openCheckpoint(folder))).to.match(text);
      expect(fs.readdirSync(folder)).to.deep.equal(names);
    });
  }

  it('no folder, a file, other formats, nothing at all', async () => {
    const folder = temporaryFolder();
    expect(said(await openCheckpoint(path.join(folder, 'none')))).to.match(/There is no folder/);
    fs.writeFileSync(path.join(folder, 'config.json'), '{}');
    expect(said(await openCheckpoint(path.join(folder, 'config.json')))).to.match(/is a file; a checkpoint is a folder/);
    expect(said(await openCheckpoint(folder))).to.match(/has no weights/);
    fs.writeFileSync(path.join(folder, 'pytorch_model.bin'), '');
    expect(said(await openCheckpoint(folder))).to.match(/holds weights as pytorch_model.bin; UOE reads safetensors. Convert it/);
    fs.writeFileSync(path.join(folder, 'model.safetensors'), rawFile({}));
    expect(said(await openCheckpoint(folder))).to.match(/holds no tensors/);
  });

  it('a shard replaced while it is open: the one that was opened is read on', async () => {
    const folder = writeFolder([{ w: filled('F32', [3], 1), v: filled('F32', [3], 2) }]);
    const checkpoint = unwrap(await openCheckpoint(folder));
    fs.writeFileSync(path.join(folder, 'other'), fileOf({ longer: filled('F32', [9], 3) }));
    unwrap(await checkpoint.readValues({ name: 'w', shape: [3] }));
    fs.renameSync(path.join(folder, 'other'), path.join(folder, 'model.safetensors'));
    expect(Buffer.from(unwrap(await checkpoint.read({ name: 'v', shape: [3] })).bytes)).to.deep.equal(filled('F32', [3], 2).bytes);
    await checkpoint.close();
  });
});
