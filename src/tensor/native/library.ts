/** TensorFlow's C library: found in an installed Python package, or fetched as that package's wheel and unpacked. Python is needed for nothing else. */
import path from 'node:path';
import { freeBytes } from '../../files/disk-fault';
import { fileSystem } from '../../files/file-system';
import { kindOf, listFolder, makeFolder, removeFolder, renameDurably } from '../../files/folder';
import { type Ended, lastWords, runProgram, went } from '../../files/programs';
import { refuse, unwrap } from '../../protocol/fault';
import { bytes } from '../../protocol/numbers';
import { type Pinned, pinned, pinnedCuda, pinnedGpu, tensorflowVersion } from './pinned';

export const libraryNames = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const;

export interface Work {
  readonly signal: AbortSignal;
  /** One line about what goes on. */
  say(text: string): void;
}

export interface Fetch {
  readonly what: string;
  /** To fetch. */
  readonly bytes: number;
  /** Kept on disk afterwards. */
  readonly kept: number;
  /** Free space that it takes meanwhile. */
  readonly needed: number;
}

const python = (): string => process.env.PYTHON || 'python3';

async function isWhole(folder: string): Promise<boolean> {
  for (const name of [...libraryNames, 'include/tensorflow/c/c_api.h']) {
    const kind = await kindOf(path.join(folder, name));
    if (!kind.ok || kind.value !== 'file') return false;
  }
  return true;
}

/** The folder of an installed `tensorflow` whose library is whole; null without one. */
export async function installedLibrary(signal: AbortSignal): Promise<string | null> {
  const ask = 'import importlib.util as u,os;s=u.find_spec("tensorflow");print(os.path.dirname(s.origin) if s and s.origin else "")';
  const { code, out } = await runProgram(python(), ['-c', ask], { signal });
  const folder = code === 0 ? out.trim() : '';
  return folder !== '' && (await isWhole(folder)) ? folder : null;
}

/** What is fetched where no installed package is used. */
export const toFetch = (gpu: boolean): Fetch =>
  gpu
    ? {
        what: `TensorFlow ${tensorflowVersion} with CUDA, ${pinnedCuda.length + 1} packages`,
        bytes: [pinnedGpu, ...pinnedCuda].reduce((sum, { size }) => sum + size, 0),
        kept: 5.4e9,
        needed: 9e9,
      }
    : { what: `TensorFlow ${tensorflowVersion} for the processor`, bytes: pinned.size, kept: 0.86e9, needed: 1.4e9 };

/** The library's folder once it is fetched; beside it lie CUDA's, where TensorFlow looks for them. */
export const fetchedFolder = (cache: string, gpu: boolean): string => path.join(cache, `tensorflow-${tensorflowVersion}-${gpu ? 'gpu' : 'cpu'}`, 'tensorflow');

/** The two libraries, and the headers that the addon's sources reach. The first argument is the wheel, the second the folder. */
const unpackProgram = String.raw`
import os, re, shutil, sys, zipfile
wheel, out = zipfile.ZipFile(sys.argv[1]), sys.argv[2]
names, seen = set(wheel.namelist()), set()
todo = ['tensorflow/c/c_api.h', 'tensorflow/c/eager/c_api.h', 'tensorflow/c/tf_datatype.h', 'tensorflow/c/tf_status.h', 'tensorflow/c/tf_tensor.h',
        'tensorflow/core/platform/ctstring_internal.h']
def put(name, to):
    if name not in names: sys.exit('error: ' + name + ' is not in the wheel')
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with wheel.open(name) as source, open(to, 'wb') as target: shutil.copyfileobj(source, target, 1 << 24)
while todo:
    header = todo.pop()
    if header in seen: continue
    seen.add(header)
    put('tensorflow/include/' + header, out + '/include/' + header)
    todo += re.findall(r'^\s*#\s*include\s+"([^"]+)"', wheel.read('tensorflow/include/' + header).decode(), re.M)
for name in sys.argv[3:]: put('tensorflow/' + name, out + '/' + name)
`;

/** pip with the user's own settings (index, proxy, certificates). */
async function pip(args: readonly string[], signal: AbortSignal): Promise<Ended> {
  return runProgram(python(), ['-m', 'pip', ...args], { signal, environment: { PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_NO_INPUT: '1' } });
}

async function needPip(signal: AbortSignal): Promise<void> {
  const asked = await pip(['--version'], signal);
  if (asked.absent) refuse('not-found', `There is no ${python()}, which fetches and unpacks TensorFlow.`, 'Install python3 and python3-pip, or set PYTHON.');
  if (!went(asked)) refuse('not-found', `${python()} has no pip, which fetches TensorFlow.`, 'Install python3-pip, or set PYTHON to a Python that has it.');
}

const requirement = ({ name, version, sha256 }: Pinned): string => `${name}==${version} --hash=sha256:${sha256}\n`;

async function fetchWheels(packages: readonly Pinned[], to: string, tags: readonly string[], signal: AbortSignal): Promise<void> {
  unwrap(await makeFolder(to));
  const list = path.join(to, 'requirements.txt');
  const handle = await fileSystem.open(list, 'w');
  await handle.writeFile(packages.map(requirement).join(''));
  await handle.close();
  const ended = await pip(['download', '-q', '--no-deps', '--only-binary=:all:', '--require-hashes', ...tags, '-d', to, '-r', list], signal);
  if (went(ended)) return;
  if (/HASH|hash/.test(ended.errors) && /do not match|mismatch/i.test(ended.errors)) {
    refuse(
      'bad-file',
      `What pip fetched for ${packages[0].name} is not the file that UOE expects.`,
      'Check which index pip uses ("pip config list"), then try again.',
    );
  }
  refuse(
    'io',
    `pip could not fetch ${packages[0].name} ${packages[0].version}: ${lastWords(ended)}`,
    'Check the network, the proxy and pip\'s index settings, then run the set-up again; or install the Python package "tensorflow", which is used in place.',
  );
}

async function wheelsIn(folder: string): Promise<string[]> {
  return unwrap(await listFolder(folder))
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.whl'))
    .map((name) => path.join(folder, name));
}

// Any Python will do: the wheel is only unpacked, so what it was built for is fixed here.
const tensorflowTags = ['--implementation', 'cp', '--python-version', '3.11', '--abi', 'cp311', '--platform', 'manylinux_2_27_x86_64'];

/** Fetches and unpacks; nothing lies under its final name before it is whole. */
export async function fetchLibrary(cache: string, gpu: boolean, { signal, say }: Work): Promise<string> {
  const folder = fetchedFolder(cache, gpu);
  if (await isWhole(folder)) {
    say(`TensorFlow ${tensorflowVersion} was fetched before.`);
    return folder;
  }
  const fetch = toFetch(gpu);
  const free = await freeBytes(cache);
  if (free !== null && free < fetch.needed) {
    refuse(
      'io',
      `${bytes(free)} are free in ${cache}; the set-up needs ${bytes(fetch.needed)} meanwhile.`,
      'Free some space, or set UOE_NATIVE to a folder on another disk.',
    );
  }
  await needPip(signal);
  const root = path.dirname(folder);
  const part = `${root}.part`;
  const wheels = path.join(part, 'wheels');
  unwrap(await removeFolder(part));
  try {
    say(`Fetching ${fetch.what} (${bytes(fetch.bytes)}) with pip.`);
    await fetchWheels([gpu ? pinnedGpu : pinned], wheels, tensorflowTags, signal);
    say('Unpacking its two libraries.');
    const [wheel] = await wheelsIn(wheels);
    const unpacked = await runProgram(python(), ['-c', unpackProgram, wheel, path.join(part, 'tensorflow'), ...libraryNames], { signal });
    if (!went(unpacked)) {
      refuse('bad-file', `TensorFlow's wheel could not be unpacked: ${lastWords(unpacked)}`, 'Check the free space of the disk, then run the set-up again.');
    }
    unwrap(await removeFolder(wheels));
    if (gpu) {
      say(`Fetching ${pinnedCuda.length} packages of CUDA with pip.`);
      await fetchWheels(pinnedCuda, wheels, [], signal);
      say('Unpacking them.');
      // TensorFlow's library looks for CUDA in ../nvidia/*/lib.
      const installed = await pip(['install', '-q', '--no-deps', '--no-index', '--no-compile', '--target', part, ...(await wheelsIn(wheels))], signal);
      if (!went(installed))
        refuse('io', `The packages of CUDA could not be unpacked: ${lastWords(installed)}`, 'Check the free space of the disk, then run the set-up again.');
      unwrap(await removeFolder(wheels));
    }
    unwrap(await removeFolder(root));
    unwrap(await renameDurably(part, root));
  } finally {
    unwrap(await removeFolder(part));
  }
  return folder;
}
