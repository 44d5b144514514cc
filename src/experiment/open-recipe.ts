/** From a recipe as written to everything a run works on: model open, rows read and tokenised, fingerprints compared. */
import path from 'node:path';
import { chooseTarget, needsAttribution } from '../attribution/target';
import { appliedNote } from '../checkpoint/applied-state';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { openCheckpoint } from '../checkpoint/open-checkpoint';
import { readSafetensors } from '../checkpoint/safetensors';
import { readText } from '../files/read';
import { sha256File } from '../files/sha256';
import type { Shape } from '../model/family';
import { type OpenModel, openModel } from '../passes/model';
import { refuse, unwrap } from '../protocol/fault';
import { moveRecipePaths, parseRecipe, type Recipe, type RecipePath, type ResolvedRecipe, recipePaths, resolveRecipe } from '../protocol/recipe';
import type { TokenSequence } from '../protocol/sequences';
import { isOfTarget } from '../protocol/train-choice';
import { backendInUse, openBackend } from '../tensor/backend';
import { widen } from '../tensor/dtype';
import type { Purpose } from '../text/row-kind';
import { readRows } from '../text/rows';
import { toSequences } from '../text/sequences';
import { openTokenizer, type Tokenizer } from '../text/tokenizer';
import { trainedUnits } from '../unlearn/trained-units';

/** An open checkpoint with its model and tokenizer; several runs may share it. */
export interface ModelHandle {
  readonly checkpoint: Checkpoint;
  readonly model: OpenModel;
  readonly tokenizer: Tokenizer | null;
}

/** Opens a checkpoint folder for use within `memory` bytes. Throws FaultError. */
export async function openHandle(folder: string, memory: number, signal?: AbortSignal): Promise<ModelHandle> {
  const checkpoint = unwrap(await openCheckpoint(folder, signal));
  try {
    const model = unwrap(openModel(checkpoint, memory));
    return { checkpoint, model, tokenizer: unwrap(await openTokenizer(folder, checkpoint.config)) };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

/** A data file as sequences, with what was lost on the way. */
export interface ReadSet {
  readonly file: string;
  readonly sequences: readonly TokenSequence[];
  readonly skipped: number;
  readonly truncated: number;
}

export interface EvaluationSets {
  readonly forget: ReadSet | null;
  readonly near: ReadSet | null;
  readonly utility: readonly ReadSet[];
}

export interface OpenedRecipe {
  /** All defaults filled, all paths absolute, fingerprints of this moment. */
  readonly recipe: ResolvedRecipe;
  readonly warnings: readonly string[];
  readonly handle: ModelHandle;
  readonly forget: ReadSet;
  readonly retain: ReadSet | null;
  readonly checks: { readonly forget: ReadSet; readonly utility: readonly ReadSet[] } | null;
  readonly evaluate: EvaluationSets | null;
  /** Text of the ESFT expert list, where the target names one. */
  readonly esft: string | undefined;
  /** RMU's u from a file `[d]`. */
  readonly controlVector: Float32Array | undefined;
  /** Closes the model where it was opened for this alone. */
  release(): Promise<void>;
}

/** A written recipe with every default filled and every path absolute against `folder`. Throws FaultError. */
export function resolveWritten(json: unknown, folder: string): { recipe: ResolvedRecipe; written: Recipe; warnings: readonly string[] } {
  const written = moveRecipePaths(unwrap(parseRecipe(json)), (file) => path.resolve(folder, file));
  const { recipe, warnings } = unwrap(resolveRecipe(written));
  return { recipe, written, warnings };
}

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** An already open model of the same folder. */
  readonly open?: (folder: string, memory: number, signal?: AbortSignal) => Promise<ModelHandle>;
}

const fingerprinted = (recipe: ResolvedRecipe): RecipePath[] => recipePaths(recipe).filter(({ field }) => field !== 'model');

/** SHA-256 of every data file and the checkpoint's fingerprint, by recipe field. */
async function fingerprintsOf(recipe: ResolvedRecipe, checkpoint: Checkpoint, signal?: AbortSignal): Promise<Record<string, string>> {
  const prints: Record<string, string> = { model: unwrap(await checkpoint.fingerprint(signal)) };
  for (const { field, path: file } of fingerprinted(recipe)) prints[field] = unwrap(await sha256File(file, undefined, signal));
  return prints;
}

/** A recipe that carries fingerprints is only run on the same bytes. */
function compareFingerprints(recipe: ResolvedRecipe, found: Readonly<Record<string, string>>): void {
  const paths = new Map(recipePaths(recipe).map(({ field, path: file }) => [field, file]));
  for (const [field, expected] of Object.entries(recipe.fingerprints ?? {})) {
    if (found[field] === undefined || found[field] === expected) continue;
    refuse(
      'conflict',
      `${paths.get(field) ?? field} is not what this recipe was run on: its "${field}" has another fingerprint.`,
      'Use the original file, or take "fingerprints" out of the recipe to run it on the new one.',
    );
  }
}

/** Everything is read and checked here, before a run begins. Throws FaultError. */
export async function openRecipe(json: unknown, folder: string, options: OpenOptions = {}): Promise<OpenedRecipe> {
  const { recipe, warnings } = resolveWritten(json, folder);
  const handle = await (options.open ?? openHandle)(recipe.model, recipe.memory, options.signal);
  const release = async () => {
    if (options.open) return;
    handle.model.weights.close();
    await handle.checkpoint.close();
  };
  try {
    const note = await appliedNote(handle.checkpoint.folder);
    const noted = note === null ? [] : [note];
    return { ...(await readInputs(recipe, handle, options)), warnings: [...warnings, ...noted, ...warningsOf(recipe, handle.checkpoint.dtype)], release };
  } catch (error) {
    await release();
    throw error;
  }
}

function warningsOf(recipe: ResolvedRecipe, dtype: string): string[] {
  const warnings: string[] = [];
  if (recipe.keep === 'best' && recipe.checks === null)
    warnings.push('"keep": "best" has no effect without "checks": the weights after the last step are kept.');
  if (recipe.precision === 'fast' && (backendInUse().name !== 'tensorflow' || dtype !== 'BF16'))
    warnings.push('"precision": "fast" has no effect here: it is for checkpoints stored as bf16 on the tensorflow backend.');
  return warnings;
}

async function readInputs(recipe: ResolvedRecipe, handle: ModelHandle, options: OpenOptions): Promise<Omit<OpenedRecipe, 'warnings' | 'release'>> {
  const { shape } = handle.model;
  unwrap(await openBackend(recipe.backend, recipe.threads, shape.hiddenSize));
  const esft = typeof recipe.target === 'object' && 'esft' in recipe.target ? unwrap(await readText(recipe.target.esft)) : undefined;
  refuseTarget(recipe, shape, esft);
  // What the model does not have can't train; the layer of a target that is yet to be found is no reason to refuse.
  if (!isOfTarget(recipe.train)) trainedUnits(handle.model, { experts: [{ layer: shape.layers, expert: 0 }], train: recipe.train });
  const read = async (file: string, purpose: Purpose): Promise<ReadSet> => {
    options.signal?.throwIfAborted();
    const rows = unwrap(await readRows(file));
    const { sequences, skipped, truncated } = unwrap(
      await toSequences(rows, {
        tokenizer: handle.tokenizer,
        purpose,
        maxLength: recipe.maxLength,
        documentStart: recipe.addDocumentStart === null ? 'auto' : recipe.addDocumentStart ? 'yes' : 'no',
        chat: recipe.chat,
        options: recipe.scoring.options,
        vocabSize: shape.vocabSize,
        maxPositions: shape.maxPositions,
        signal: options.signal,
      }),
    );
    if (sequences.length === 0)
      refuse('bad-data', `${file} has no row with a target token left.`, 'Give rows with text after the first token, or a larger maximum length.');
    return { file, sequences, skipped, truncated };
  };
  const forget = await read(recipe.forget, 'train');
  const retain = recipe.retain === null ? null : await read(recipe.retain, 'train');
  const { checks, evaluate } = recipe;
  const readAll = async (files: readonly string[]) => {
    const sets: ReadSet[] = [];
    for (const file of files) sets.push(await read(file, 'evaluate'));
    return sets;
  };
  const opened = {
    handle,
    forget,
    retain,
    checks: checks ? { forget: await read(checks.forget, 'evaluate'), utility: await readAll(checks.utility) } : null,
    evaluate: evaluate
      ? {
          forget: evaluate.forget === null ? null : await read(evaluate.forget, 'evaluate'),
          near: evaluate.near === null ? null : await read(evaluate.near, 'evaluate'),
          utility: await readAll(evaluate.utility),
        }
      : null,
    esft,
    controlVector: await controlVectorOf(recipe, shape.hiddenSize),
  };
  const fingerprints = await fingerprintsOf(recipe, handle.checkpoint, options.signal);
  compareFingerprints(recipe, fingerprints);
  return { ...opened, recipe: { ...recipe, fingerprints } };
}

/** A target that the model does not have, as far as that can be told without a pass. */
function refuseTarget({ target }: ResolvedRecipe, shape: Shape, esft: string | undefined): void {
  if (target === 'auto') return;
  // A random target needs the best expert's layer only to stay away from it: whether there is another layer can be told at once.
  const best = needsAttribution(target) ? { layer: shape.moeLayers[0], expert: 0, affinity: 0, share: 0 } : null;
  const names = unwrap(chooseTarget(target, shape, best, esft)).map(({ layer, expert }) => `layer ${layer} expert ${expert}`);
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined) refuse('bad-data', `The target names ${twice} twice.`, 'Name each expert once.');
}

/** The control vector named by the recipe, as it is in the file; undefined when it is drawn from the seed. */
async function controlVectorOf(recipe: ResolvedRecipe, d: number): Promise<Float32Array | undefined> {
  if (recipe.method !== 'rmu' || recipe.methodOptions.controlVector === 'seed') return undefined;
  const { file, tensor } = recipe.methodOptions.controlVector;
  const stored = unwrap(await readSafetensors(file)).tensors.get(tensor);
  if (!stored) return refuse('bad-data', `${file} holds no tensor "${tensor}".`, 'Name the tensor of the control vector in "methodOptions.controlVector".');
  const count = stored.shape.reduce((product, size) => product * size, 1);
  const { dtype } = stored;
  if (count !== d || (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16')) {
    return refuse('bad-data', `${file}: tensor "${tensor}" is ${dtype} [${stored.shape.join(', ')}]; a control vector is [${d}] in F32, F16 or BF16.`);
  }
  const values = new Float32Array(d);
  widen(stored.bytes, dtype, values);
  return values;
}
