/**
 * What the engine says, in the language of the window. The engine, the command line and the run folder speak English; a sentence of theirs
 * is found again by its template, which is its key in the bundles. What is not listed here stays English.
 */
import { worstAudit } from '../../experiment/audits';
import { type Fault, sentence } from '../../protocol/fault';
import type { ComparisonView, WorkbenchState } from '../../protocol/workbench';
import { t as spoken } from './text';

interface Template {
  readonly text: string;
  readonly pattern: RegExp;
  /** Where each value of the pattern belongs. */
  readonly places: readonly number[];
}

/** `value` is the pattern of a value. */
function templateOf(text: string, value: string): Template {
  const pieces = text.split(/\{(\d+)\}/);
  const pattern = pieces.map((piece, i) => (i % 2 === 0 ? piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : value)).join('');
  return { text, pattern: new RegExp(`^${pattern}$`, 's'), places: pieces.filter((_, i) => i % 2 === 1).map(Number) };
}

/** A sentence of the engine; values are read back from where its places are, and none reaches into the next sentence. */
const said = (text: string): Template => templateOf(text, '((?:(?!\\. [A-Z]).)+?)');

/** A piece of a sentence, with too little text of its own for values of several words. */
const piece = (text: string): Template => templateOf(text, '([^ ]+)');

/** The page says this itself, with the ways out. */
const overBudget = said('The run needs about {0} of memory, more than its budget of {1}: shorten the rows, give fewer, or raise "memory".');

const templates: readonly Template[] = [
  overBudget,
  // verdicts
  said('Whether anything was forgotten was not measured: {0}.'),
  said('the run has no forget set to evaluate'),
  said('the forget set has no values per example before and after'),
  said('The forget score went from {0} to {1} ({2} over {3} rows).'),
  said('The forget score went from {0} to {1} ({2} over {3} row).'),
  said('change {0}, 95 % interval {1} to {2}'),
  said('change {0}, no interval'),
  said('The forget score fell, measured on one row: too few to tell it from chance.'),
  said('The forget score fell, measured on {0} rows: too few to tell it from chance.'),
  said('The forget score did not fall, measured on one row: too few to tell it from chance.'),
  said('The forget score did not fall, measured on {0} rows: too few to tell it from chance.'),
  said('With the target expert forbidden, the edited model scores {0}.'),
  said('With the target expert forbidden, the edited model scores {0} ({1} against the edited model as it is).'),
  said('No forgetting was shown: the fall of the forget score is within chance.'),
  said('The forget score fell; whether the knowledge is erased or only hidden was not measured.'),
  said('The target expert was not forbidden in the evaluation.'),
  said('The edit blocks access, it does not erase: forbidding the target expert brings the score back.'),
  said('That is one check. Relearning, quantising or other wordings may still bring the knowledge back.'),
  said('The forget score fell, and forbidding the target expert does not bring it back.'),
  said('The forget score fell, but an audit brings it back.'),
  said('One further audit does not bring it back either.'),
  said('{0} further audits do not bring it back either.'),
  said('The worst of them: {0} ({1}).'),
  said('It cannot be told apart from answering without knowing the subject ({0}).'),
  said('It is below answering without knowing the subject ({0}): the model now avoids the right answer.'),
  said('That is {0} of the way to answering without knowing the subject ({1}).'),
  said('The original scores {0} with the same expert forbidden: {1} ({2}).'),
  said('the two cannot be told apart'),
  said('the edited model is still below'),
  said('the edited model is above'),
  said('What the edit costs elsewhere was not measured: the run has no utility set.'),
  said('Utility went from {0} to {1} ({2}).'),
  said('The neighbouring topic went from {0} to {1} ({2}).'),
  said('Not measured'),
  said('Keeps {0} of the original'),
  said('Keeps {0} of run {1}'),
  piece('run {0}'),
  piece('Run {0}'),
  said('Small side effect'),
  said('Visible side effect: loses {0}'),
  said('No chance level to judge it by: see how far it fell'),
  said('At chance: no better than guessing'),
  said('Below chance: it avoids the right answer'),
  said('The original was at chance already'),
  said('Run {0} was at chance already'),
  said('Not forgotten'),
  piece('{0} of the way to chance'),
  said('Target share fell, {0}: the router dodges'),
  said('Forget tokens keep going to the target, share {0}'),
  said('{0} and {1} have no forget set in common.'),
  said('{0} and {1} cannot be told apart on the forget set.'),
  said('{0} forgets more than {1}.'),
  said('{0} forgets less than {1}.'),
  said('Forget score: Change {0}, 95 % interval {1} to {2} over {3} rows.'),
  said('Near topic: Change {0}, 95 % interval {1} to {2} over {3} rows.'),
  said('Utility: Change {0}, 95 % interval {1} to {2} over {3} rows.'),
  said('Routing overlap, forget'),
  said('Routing overlap, retain'),
  said('Target share on forget prompts'),
  piece('{0} topics'),
  said('extraction strength'),
  // audits
  said('Expert forbidden'),
  said('If {0} may not be chosen, does the knowledge come back through others?'),
  said('If {0} may not be chosen and {1} always is, does the knowledge come back?'),
  said('If {0} may not be chosen and the next-best experts of its layer always are, does the knowledge come back?'),
  said('After a few steps of training on half of the forget facts ({0}), are the facts of the other half back?'),
  said('what the run trained'),
  said('all parameters'),
  said('With the weights rounded to {0} bit, is the knowledge back?'),
  said('When the beginning of an answer is given, does the model complete it?'),
  said('Asked in other words, does the model still tell it?'),
  said('Does the model still know the neighbouring topic?'),
  said('Next-best experts forced'),
  said('Relearning'),
  said('Relearning, all parameters'),
  said('Rounded to {0} bit'),
  said('Part of the answer given'),
  said('Other words'),
  said('Near topic'),
  said('Not brought back'),
  said('Partly hidden: some of it returns'),
  said('Hidden: it returns through other experts'),
  said('Hidden: the next-best experts tell it'),
  said('Holds: relearning does not bring it back'),
  said('Partly returns: treat the topic as suppressed, not gone'),
  said('Returns: it was still there'),
  said('Holds at {0} bit'),
  said('Partly comes back at {0} bit'),
  said('Comes back at {0} bit'),
  said('Not completed: the answers stay out of reach'),
  said('Partly completed: a beginning brings some of it back'),
  said('Completed: a beginning brings it back'),
  said('Holds in other words'),
  said('Partly returns in other words'),
  said('Returns in other words'),
  said('Nothing was forgotten, so nothing can return'),
  said('Says nothing: the original does not know it either then'),
  said('Spared: no loss can be shown'),
  said('Under this audit the edited model scores {0} and the original {1}: difference {2}, 95 % {3} to {4}.'),
  said('The two cannot be told apart.'),
  said('Says nothing: too few steps to teach even their own half'),
  said('More steps would say more.'),
  said('On the half that was taught, the edited model now scores {0} and the original {1}.'),
  said('{0} of what the edit took is back.'),
  said('The edit blocks the knowledge, it does not erase it.'),
  said('What comes back without being taught was never erased.'),
  said('The edit is too small for the grid: a rounded model is close to the original again.'),
  said('The edit hides the beginning of the answers, not the answers.'),
  said('The edit knows the wordings it was trained on, not the knowledge.'),
  said('The near topic went from {0} to {1}: difference {2}, 95 % {3} to {4}.'),
  said('Edited model'),
  said('Original model'),
  said('Edited model, {0}'),
  said('Original model, {0}'),
  said('Near topic, {0}'),
  said('Utility, {0}'),
  said('expert allowed'),
  said('expert forbidden'),
  said('routing free'),
  said('next-best forced'),
  said('before relearning'),
  said('after relearning'),
  said('not rounded'),
  said('at {0} bit'),
  said('nothing given'),
  said('part of the answer given'),
  said('words of the run'),
  said('other words'),
  said('Layer {0} has {1} experts and uses {2} for each token, so {3} of them cannot be forbidden.'),
  said('The run holds no attribution of the target’s layer, so the next-best experts are not known.'),
  said('No paraphrases were given: name a file of the same questions in other words (uoe audit --paraphrases FILE).'),
  said('The recipe names no near set under "evaluate", so there is nothing to measure.'),
  said('The forget set has fewer than two facts, so half of them cannot be left out.'),
  said('The run trained all parameters, so relearning with what it trained is the same audit.'),
  said('All parameters do not fit: training them takes about {0}, and the run’s memory budget is {1}.'),
  said('Give a forget set with more rows.'),
  said('The recipe names no forget set under "evaluate", so there is nothing to measure.'),
  // plans
  said('Forgetting: accuracy on {0} questions, before and after.'),
  said('Neighbouring knowledge: accuracy on {0} questions, before and after.'),
  said('Utility: accuracy on {0} questions, before and after.'),
  said('Forgetting: NLL, probability and extraction strength of {0}, before and after.'),
  said('Neighbouring knowledge: NLL, probability and extraction strength of {0}, before and after.'),
  said('Utility: NLL, probability and extraction strength of {0}, before and after.'),
  piece('{0} text row'),
  piece('{0} text rows'),
  piece('{0} forget row'),
  piece('{0} forget rows'),
  piece('{0} check row'),
  piece('{0} check rows'),
  said('Forgetting as accuracy: {0} has no questions with options.'),
  said('Neighbouring knowledge as accuracy: {0} has no questions with options.'),
  said('Utility as accuracy: {0} has no questions with options.'),
  said('Forgetting: no evaluation set of what to forget is given, so only the training loss shows it, not other wordings.'),
  said('Neighbouring knowledge: no evaluation set near the forget topic is given.'),
  said('Utility: no evaluation set of what the model should keep is given.'),
  said('Forgetting with the target experts forbidden, before and after: whether others would tell.'),
  said('Forgetting with the target experts forbidden: a token needs {0} experts, and too few of a layer would be left.'),
  said('Routing of all {0} forget rows: how many chosen experts stay, and the share of the target.'),
  said('Routing of {0} of {1} forget rows: how many chosen experts stay, and the share of the target.'),
  said('Routing of all {0} retain rows: how many chosen experts stay.'),
  said('Routing of {0} of {1} retain rows: how many chosen experts stay.'),
  said('Routing of what the model should keep: there is no retain set.'),
  said('Affinity of every expert on {0}.'),
  said('Stability of the affinities: too few prompts, one has no halves.'),
  said('Stability of the affinities over random halves of {0} prompts.'),
  said('Whether other prompts would name the same target: too few prompts ({0} of at least {1}).'),
  said('Every {0} steps: the forget score on {1}.'),
  said('Every {0} steps: the forget score on {1}, and utility on {2} set.'),
  said('Every {0} steps: the forget score on {1}, and utility on {2} sets.'),
  said('Scores during the run: the recipe has no checks, so the losses alone show how far it is.'),
  said('{0} row of {1} without a target is skipped.'),
  said('{0} rows of {1} without a target are skipped.'),
  said('{0} row of {1} is cut to {2} tokens.'),
  said('{0} rows of {1} are cut to {2} tokens.'),
  said('The target is chosen from only {0}: other wordings may name another expert.'),
  said('A batch of {0} holds the {1} more than once.'),
  said('{0} steps of {1} rows train on {2} of {3} forget rows.'),
  said('Without a "retain" set there is no retain loss: nothing but the small number of trained parameters protects what the model should keep.'),
  said(
    'Without a "retain" set there is no retain loss and RMU\'s retain term is 0: nothing but the small number of trained parameters protects what the model should keep.',
  ),
  said('The stop rules on utility have no effect: "checks.utility" names no set.'),
  said('"keep": "best" has no effect without "checks": the weights after the last step are kept.'),
  // methods and presets
  said('Lowers answers against the original. Bounded; one extra pass for the reference.'),
  said('GA plus the retain loss. Raises forget loss while holding retain loss.'),
  said('Raises the loss on forget text. Gradient ascent; strongest, least careful.'),
  said('NPO without a reference. Length-normalised; no extra pass.'),
  said("Scrambles hidden states on forget text. Needs nothing above the target's layer."),
  said('Keeps the neighbouring topic best of the four; about 40 steps to chance on the demo model.'),
  said('Raises the forget loss while holding the retain loss; about 40 steps to chance on the demo model.'),
  said('Gradient ascent without a retain loss: 35 steps, more do harm.'),
  said('Scrambles the hidden state after the target layer; about 35 steps to chance on the demo model.'),
  said(
    'RMU on the dense layers and shared experts up to the target’s layer: 1.8 % of the demo model. What it takes does not come back when the expert is forbidden, weights are rounded or half of the facts are taught again for ten steps. Put rows of the neighbouring topic into the retain set.',
  ),
  said('NPO with beta 0.001, lr 1e-4, batch 16, retain weight 1, anchor 1.'),
  said('RMU with c 8000 and retain weight 1200, for Qwen1.5-MoE-A2.7B.'),
  said('RMU with c 32000 and retain weight 1200, for DeepSeek-V2-Lite.'),
  said(
    'Constant lr 2e-4, 32 × 4 rows a step, 1024 tokens a row, the anchor over all experts; the method stays yours. Its packing and its 10 epochs have no counterpart here.',
  ),
  // why a run ended
  said('Target reached at step {0}: the forget score {1} is at most {2}.'),
  said('Target reached at step {0}: the forget score {1} is at most {2} in {3} checks in a row.'),
  said('Stopped at step {0}: utility {1} → {2} is beyond the limit.'),
  said('Stopped at step {0}: utility {1} → {2} is beyond the limit in {3} checks in a row.'),
  said('Stopped at step {0}: the utility sets got worse is beyond the limit.'),
  said('Stopped at step {0}: the utility sets got worse is beyond the limit in {1} checks in a row.'),
  said('No check was within the utility limit; the weights of step {0} are kept.'),
  said('Stopped and discarded.'),
  said('Stopped by you at step {0}.'),
  said('Stopped at step {0} of {1}: a loss or its gradient became NaN or infinite.'),
  said('Stopped after step {0} of {1}, whose check gave NaN or infinity.'),
  said('Step {0}, the best check, is kept.'),
  said('Step {0}, the last good check, is kept.'),
  said('There was no good check before it, so nothing is kept.'),
  said('Try a learning rate of {0}.'),
  said('Cancelled; "uoe unlearn --resume" goes on from its last saved step.'),
  said('Its process ended without a word; "uoe unlearn --resume" goes on from its last saved step.'),
  // faults
  said("Can't read {0}: {1}."),
  said("Can't open {0}: {1}."),
  said("Can't list {0}: {1}."),
  said("Can't look at {0}: {1}."),
  said("Can't make the folder {0}: {1}."),
  said("Can't write to {0}: {1}."),
  said("Can't rename {0}: {1}."),
  said("Can't lock {0}: {1}."),
  said("Can't write {0}: {1}."),
  said("Can't write {0}: the disk is full ({1} needed, {2} free)."),
  said("Can't write {0}: the disk is full ({1} free)."),
  said('there is no such file or folder'),
  said('it is a folder, a file is needed'),
  said('it is not a plain file'),
  said('permission denied'),
  said('the file system is read-only'),
  said('the disk is full'),
  said('your disk quota is used up'),
  said('the disk reports an input/output error'),
  said('another program is using it'),
  said('Check the path.'),
  said('Give the path of a file.'),
  said('Change its permissions, or use a place you may write to.'),
  said('Use a place you may write to.'),
  said('Free some space, or use another disk.'),
  said('Nothing was changed.'),
  said('There is no folder {0}.'),
  said('Give the folder of a checkpoint.'),
  said('Give the folder of a Hugging Face checkpoint.'),
  said('Give the folder of a Hugging Face checkpoint (config.json and *.safetensors).'),
  said('Give the folder of a complete checkpoint.'),
  said('{0} has no config.json.'),
  said('{0} has no weights (model.safetensors, or shards with model.safetensors.index.json).'),
  said('{0} is missing; model.safetensors.index.json lists {1} tensors in it.'),
  said('Get the missing file.'),
  said('{0} ends at byte {1}: {2} bytes are missing there.'),
  said('The file was cut short; get a complete copy.'),
  said('Get a complete, unchanged copy of the file.'),
  said('{0} is not valid JSON: {1}.'),
  said('Repair it, or get a complete copy.'),
  said('Check that config.json and the weights belong together.'),
  said('Check that config.json belongs to this checkpoint.'),
  said('{0} has no tensor {1}.'),
  said('config.json says model_type "{0}", which has no experts.'),
  said('config.json says model_type "{0}", a Mixture-of-Experts family UOE does not read yet.'),
  said('UOE edits one expert of a Mixture-of-Experts model: {0}.'),
  said('Supported: {0}.'),
  said('This checkpoint is quantised ({0}).'),
  said('Open the unquantised checkpoint (F32, F16 or BF16) it was made from.'),
  said('Tensor {0} of {1} holds a NaN or infinity at {2}.'),
  said('Tensor {0} of {1} holds a NaN or infinity (element {2} of {3}).'),
  said('The checkpoint is damaged; get an unchanged copy.'),
  said('{0} cannot be computed: row "{1}" has a value that is not a finite number.'),
  said('The weights may have diverged: try a lower learning rate, or check the checkpoint for NaN.'),
  said('Even one prompt of {0} tokens needs {1}: {2} for the engine itself and {3} for the largest part ({4}) while it is read; {5} is allowed.'),
  said('The engine holds {0}, more than the {1} it may use.'),
  said('The routing of these rows takes {0}, more than half of the memory budget of {1}.'),
  said('the system is out of memory'),
  said('The patch was made from another checkpoint than {0} (fingerprint {1}..., not {2}...).'),
  said('Use the checkpoint that the patch was made from.'),
  said('{0} is not what this recipe was run on: its "{1}" has another fingerprint.'),
  said('Use the original file, or take "fingerprints" out of the recipe to run it on the new one.'),
  said('{0} was changed while it was in use.'),
  said('Open the checkpoint again.'),
  said('A patch is applied to {0} already.'),
  said('Restore the original first (uoe restore).'),
  said('No patch is applied in {0}.'),
  said('There is nothing to restore.'),
  said("Can't export to {0}: the folder is not empty."),
  said('Choose another folder, or empty it first.'),
  said("Can't export to {0}: it is the opened checkpoint or lies inside it."),
  said('Choose a folder outside it.'),
  said('{0} is in use by process {1} on {2} since {3}.'),
  said('Wait until it is done, or end it.'),
  said('If no such process runs, remove {0}.'),
  said('{0} has no row with a target token left.'),
  said('No row of the data has a target token left.'),
  said('Give rows with text after the first token, or a larger maximum length.'),
  said('Give rows with text after the first token, or a larger --max-length.'),
  said('{0}, line {1}: a row of no known kind.'),
  said('Columns found: {0}.'),
  said('Columns understood: {0}.'),
  said('{0}, line {1}, column {2}: not valid JSON, {3}.'),
  said('Every line must be one complete JSON object.'),
  said('{0} is not UTF-8 text.'),
  said('Save it as UTF-8.'),
  said('The recipe has an unknown field "{0}".'),
  said('The recipe lacks "{0}".'),
  said('Add "{0}": {1}.'),
  said('Did you mean "{0}"?'),
  said('Take it out.'),
  said('Recipe field "{0}" is {1}; expected {2}.'),
  said('Target expert {0} of layer {1} does not exist.'),
  said('Experts are 0 to {0}.'),
  said('There is no run "{0}" in {1}, and {2} is not a run folder.'),
  said('Cancelled.'),
  said('Unexpected error: {0}'),
  said('Please report it with the log.'),
  // how the engine's process ended
  said('It ended with signal SIGKILL, most likely because memory ran out.'),
  said('It ended with signal {0}.'),
  said('It ended with exit code {0}.'),
  said('It ended with exit code {0}: {1}'),
  // backends
  said('Plain JavaScript was asked for.'),
  said('WebAssembly was asked for.'),
  said('WebAssembly is the fastest for a hidden size of {0}.'),
  said('WebAssembly works on every machine without set-up.'),
  said("WebAssembly, because TensorFlow can't be used: {0}"),
  said('One thread: for a model this small more would only wait for each other.'),
  said('TensorFlow {0} is set up on this machine.'),
  said('TensorFlow {0} is set up on this machine and computes on its CUDA device.'),
  said('TensorFlow itself is several times as fast.'),
  said('Run "uoe setup-native" (in VS Code: "UOE: Set Up Native Acceleration").'),
].sort((a, b) => b.text.replace(/\{\d+\}/g, '').length - a.text.replace(/\{\d+\}/g, '').length);

/** One sentence, its values too; null where it is not known. */
function known(text: string): string | null {
  for (const template of templates) {
    const found = template.pattern.exec(text);
    if (!found) continue;
    const values: string[] = [];
    template.places.forEach((place, i) => {
      values[place] = known(found[i + 1]) ?? found[i + 1];
    });
    return spoken(template.text, ...values);
  }
  return null;
}

/** What the engine said, in the language of the window; several sentences one by one. */
export const inWords = (text: string): string =>
  known(text) ??
  text
    .split(/(?<=\.) (?=[A-Z])/)
    .map((sentence) => known(sentence) ?? sentence)
    .join(' ');

/** What went wrong and what to do, in the language of the window. */
export const faultInWords = ({ code, message, remedy }: Fault): string => sentence({ code, message: inWords(message), remedy: remedy && inWords(remedy) });

/** Which backend computes, its reasons in the language of the window. */
export const backendInWords = (backend: NonNullable<WorkbenchState['engine']['backend']>): typeof backend => ({
  ...backend,
  why: inWords(backend.why),
  ...(backend.faster === undefined ? {} : { faster: inWords(backend.faster) }),
});

/** Warnings of a plan, without what the page says itself. */
export const planWarnings = (warnings: readonly string[]): readonly string[] => warnings.filter((text) => !overBudget.pattern.test(text)).map(inWords);

const verdict = <V extends { readonly text: string }>(words: V): V => ({ ...words, text: inWords(words.text) });

/** Step 4 with its sentences in the language of the window. */
export function comparisonInWords(view: ComparisonView): ComparisonView {
  const audits = view.audits.map((audit) => ({
    ...audit,
    title: inWords(audit.title),
    asks: inWords(audit.asks),
    refusal: audit.refusal && inWords(audit.refusal),
    outcome: audit.outcome && {
      ...audit.outcome,
      text: inWords(audit.outcome.text),
      verdict: verdict(audit.outcome.verdict),
      names: [inWords(audit.outcome.names[0]), inWords(audit.outcome.names[1])] as const,
      facts: audit.outcome.facts.map(([name, value]) => [inWords(name), value] as const),
    },
  }));
  return {
    ...view,
    label: view.label.replace(/^Run \d+/, inWords),
    before: { ...view.before, label: view.before.label.replace(/^Run \d+/, inWords) },
    headline: inWords(view.headline),
    sentences: view.sentences.map(inWords),
    cards: view.cards.map((card) => ({ ...card, note: inWords(card.note), verdict: verdict(card.verdict) })),
    rows: view.rows.map((row) => (row.kind === 'extraction' ? { ...row, set: inWords(row.set) } : row)),
    worst: worstAudit(audits),
    routing: view.routing.map(([name, before, after]) => [inWords(name), before, after] as const),
    routingVerdict: view.routingVerdict && verdict(view.routingVerdict),
    audits,
  };
}
