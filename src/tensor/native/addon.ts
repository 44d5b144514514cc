/** The addon: tfjs-node's own sources, compiled against TensorFlow's library by one command; and a small one that keeps its start quiet. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { kindOf, listFolder, makeFolder, removeFolder, renameDurably } from '../../files/folder';
import { lastWords, runProgram, went } from '../../files/programs';
import { readBytes } from '../../files/read';
import { refuse, unwrap } from '../../protocol/fault';
import { libraryNames, type Work } from './library';
import { sourcesFolder } from './place';

export interface Addon {
  readonly addon: string;
  readonly quiet: string;
}

const compiler = (): string => process.env.CXX || 'g++';
const addonSources = ['tfjs_backend.cc', 'tfjs_binding.cc', 'binding-patch.cc'];
const common = ['-std=c++17', '-O2', '-fPIC', '-shared', '-w', '-DNAPI_VERSION=8', '-DBUILDING_NODE_EXTENSION'];
/** Calls of the package's sources that go to binding-patch.cc. */
const renamed = ['TF_NewTensor=uoe_new_tensor', 'napi_create_arraybuffer=uoe_create_arraybuffer', 'napi_define_properties=uoe_define_properties'].map(
  (name) => `-D${name}`,
);

/** Changes with the sources, the flags and the library: what was compiled from others is not taken. */
async function identity(library: string): Promise<string> {
  const hash = createHash('sha256').update([...common, ...renamed, library].join('\n'));
  for (const { name, kind } of unwrap(await listFolder(sourcesFolder()))) {
    if (kind === 'file') hash.update(name).update(unwrap(await readBytes(path.join(sourcesFolder(), name))));
  }
  return hash.digest('hex').slice(0, 12);
}

/** `library` lies in the cache or elsewhere; inside, the addon finds it wherever the cache is moved to. */
export async function compileAddon(cache: string, library: string, { signal, say }: Work): Promise<Addon> {
  const folder = path.join(cache, `addon-${await identity(library)}`);
  const filesIn = (at: string): Addon => ({ addon: path.join(at, 'tfjs_binding.node'), quiet: path.join(at, 'quiet_start.node') });
  const present = await kindOf(filesIn(folder).addon);
  if (present.ok && present.value === 'file') return filesIn(folder);
  const asked = await runProgram(compiler(), ['--version'], { signal });
  if (!went(asked)) {
    refuse(
      'not-found',
      `There is no C++ compiler (${compiler()}), which the addon is compiled with.`,
      'Install g++ (Debian, Ubuntu: "apt-get install g++"), or set CXX.',
    );
  }
  say('Compiling the addon.');
  const part = `${folder}.part`;
  unwrap(await removeFolder(part));
  unwrap(await makeFolder(part));
  try {
    const inside = library.startsWith(`${cache}${path.sep}`);
    const source = (name: string) => path.join(sourcesFolder(), name);
    const headers = ['-I', source('include')];
    const built = filesIn(part);
    const compile = async (args: readonly string[]) => {
      const ended = await runProgram(compiler(), [...common, ...headers, ...args], { signal });
      if (!went(ended)) refuse('bad-file', `The addon did not compile: ${lastWords(ended)}`, 'It needs a g++ with C++17 and TensorFlow 2.9 to 2.21.');
    };
    await compile([source('quiet-start.cc'), '-o', built.quiet]);
    await compile([
      ...renamed,
      '-I',
      path.join(library, 'include'),
      ...addonSources.map(source),
      '-o',
      built.addon,
      ...libraryNames.map((name) => path.join(library, name)),
      `-Wl,-rpath,${inside ? `$ORIGIN/${path.relative(folder, library)}` : library}`,
      '-Wl,-z,now',
    ]);
    unwrap(await removeFolder(folder));
    unwrap(await renameDurably(part, folder));
  } finally {
    unwrap(await removeFolder(part));
  }
  return filesIn(folder);
}
