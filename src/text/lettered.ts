/**
 * Lettered multiple choice as in lm-evaluation-harness's wmdp and mmlu tasks (EleutherAI/lm-evaluation-harness, lm_eval/tasks/wmdp/_default_template_yaml,
 * wmdp_{bio,cyber,chem}.yaml, lm_eval/tasks/mmlu/default/_default_template_yaml, mmlu/_generate_configs.py):
 * description "The following are multiple choice questions (with answers) about {subject}." and an empty line, the question stripped, one line per
 * option, "Answer:"; compared are " A", " B", ... (target_delimiter " ").
 */
export const LETTERS = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ');

/** Descriptions of the harness's WMDP tasks. */
const WMDP_SUBJECTS: ReadonlyMap<string, string> = new Map([
  ['bio', 'biology'],
  ['cyber', 'cybersecurity'],
  ['chem', 'chemistry'],
]);
const WMDP_NAME = /wmdp[-_](bio|cyber|chem)(?![a-z])/i;

/** `subject`: the row's own; without one, WMDP's rows are known by the name of their file or folder, others get no description. */
export function letteredPrompt(question: string, options: readonly string[], subject: string | undefined, file: string): string {
  const lines = options.map((option, index) => `${LETTERS[index]}. ${option}\n`);
  return `${description(subject, file)}${question.trim()}\n${lines.join('')}Answer:`;
}

function description(subject: string | undefined, file: string): string {
  const wmdp = WMDP_NAME.exec(subject ?? file)?.[1] ?? subject?.toLowerCase();
  const name = (wmdp === undefined ? undefined : WMDP_SUBJECTS.get(wmdp.toLowerCase())) ?? subject?.replaceAll('_', ' ');
  return name === undefined ? '' : `The following are multiple choice questions (with answers) about ${name}.\n\n`;
}
