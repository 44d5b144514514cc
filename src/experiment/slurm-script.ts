/** The files of one submission, as text: what a dry run shows is what is submitted. */
import { refuse } from '../protocol/fault';
import type { TaskCommand } from './executor';
import type { SlurmProfile } from './slurm-profile';

export interface Job {
  /** Unique: a submission whose answer was lost is found by it. */
  readonly name: string;
  /** Of the submission. */
  readonly folder: string;
  readonly profile: SlurmProfile;
  /** Starts this program. */
  readonly program: readonly string[];
  /** Bytes asked for a task; null asks for none. */
  readonly memory: number | null;
  /** A task has no state to save near the time limit: put back into the queue it would begin anew, and meet the limit again. */
  readonly startsOver: boolean;
}

/** A word of a shell that stands for itself. */
export function shellWord(text: string): string {
  if (/[\n\r\0]/.test(text)) refuse('unsupported', `${JSON.stringify(text)} has a line end, which a job's command can't hold.`, 'Rename the file or folder.');
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

const shellWords = (words: readonly string[]): string => words.map(shellWord).join(' ');

/** Line K is array task K: its log, then its command's words. */
export const manifestText = (tasks: readonly TaskCommand[]): string => tasks.map(({ log, args }) => `${shellWords([log, ...args])}\n`).join('');

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)}M`;

/** What both jobs ask of the site. */
function siteLines({ partition, account, qos, reservation, constraint, exclude, options = [] }: SlurmProfile): string[] {
  const asked = Object.entries({ partition, account, qos, reservation, constraint, exclude }).flatMap(([option, value]) =>
    value === undefined ? [] : [`--${option}=${value}`],
  );
  return [...asked, ...options];
}

const header = (options: readonly string[]): string => options.map((option) => `#SBATCH ${option}\n`).join('');

const preambleOf = ({ preamble = '' }: SlurmProfile): string => {
  const text = typeof preamble === 'string' ? preamble : preamble.join('\n');
  return text === '' ? '' : `\n# The site's own lines.\n${text.trimEnd()}\n`;
};

const programWords = ({ profile, program }: Job): string => shellWords([...(profile.wrapper ?? []), ...(profile.program ?? program)]);

/** `90`, `1:30`, `2-0`, ... in seconds, as Slurm reads it. */
function secondsOf(time: string): number {
  const [, days, rest] = /^(?:(\d+)-)?(.*)$/.exec(time) ?? [];
  const parts = rest.split(':').map(Number);
  const [hours, minutes, seconds] = days !== undefined ? [parts[0], parts[1] ?? 0, parts[2] ?? 0] : parts.length === 3 ? parts : [0, parts[0], parts[1] ?? 0];
  return ((Number(days ?? 0) * 24 + hours) * 60 + minutes) * 60 + seconds;
}

/** Time for saving the state: of a short limit a quarter. */
const signalSeconds = ({ signalSeconds: own, time }: SlurmProfile): number => own ?? Math.min(120, time === undefined ? 120 : Math.ceil(secondsOf(time) / 4));

/** A run that takes longer to begin than its limit allows would come back for ever. */
const mostRestarts = 200;

/** One array: `count` tasks, at most `parallel` at a time. */
export function arrayScript(job: Job, count: number, parallel: number | undefined): string {
  const { profile, memory } = job;
  const options = [
    `--job-name=${job.name}`,
    `--array=0-${count - 1}${parallel === undefined ? '' : `%${parallel}`}`,
    '--export=NONE',
    '--output=logs/%a.log',
    '--open-mode=append',
    '--requeue',
    ...(job.startsOver ? [] : [`--signal=B:USR1@${signalSeconds(profile)}`]),
    ...(profile.time === undefined ? [] : [`--time=${profile.time}`]),
    ...(profile.cpus === undefined ? [] : [`--cpus-per-task=${profile.cpus}`]),
    ...(memory === null ? [] : [`--mem=${mebibytes(memory)}`]),
    ...(profile.gres === undefined ? [] : [`--gres=${profile.gres}`]),
    ...siteLines(profile),
  ];
  return `#!/bin/bash
# Task K is line K+1 of "manifest" beside this file: its log and its command.
# Submitted by UOE in its folder: sbatch --parsable array.sh
${header(options)}
folder=${shellWord(job.folder)}
line=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$folder/manifest")
[ -n "$line" ] || { echo "no line $((SLURM_ARRAY_TASK_ID + 1)) in $folder/manifest"; exit 64; }
eval "task=($line)"
exec >>"\${task[0]}" 2>&1
echo "job \${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID on \${SLURMD_NODENAME:-$HOSTNAME}, start \${SLURM_RESTART_COUNT:-0}"
${preambleOf(profile)}
# USR1 comes before the time limit: the run saves its state, and the job goes back into the queue.
# TERM is a cancel: the run saves its state and ends. Only the shell gets USR1, and traps wait for a program in front.
reason= program=
stop() { reason=$1; [ -z "$program" ] || kill -TERM "$program" 2>/dev/null; }
trap 'stop limit' USR1
trap 'stop cancel' TERM
if [ -z "$reason" ]; then
  ${programWords(job)} "\${task[@]:1}" & program=$!
  [ -z "$reason" ] || stop "$reason"
  wait "$program"; code=$?
  while kill -0 "$program" 2>/dev/null; do wait "$program"; code=$?; done
  wait "$program" 2>/dev/null; own=$?; [ $own = 127 ] || code=$own
fi
trap - USR1 TERM
if [ "$reason" = limit ] && [ "\${code:-130}" = 130 ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt ${mostRestarts} ]; then
  echo "the time limit is near: back into the queue, to go on from the saved step"
  # Requeuing ends this script. The last task of an array has the array's own number: only number and index name it alone.
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && sleep 300
fi
exit "\${code:-130}"
`;
}

/** After the array, however it ended: what is there is brought together. A table is small; parts of a reading are read at once. */
export function mergeScript(job: Job, args: readonly string[]): string {
  const options = [
    `--job-name=${job.name}-merge`,
    '--export=NONE',
    '--output=merge.log',
    ...(job.memory === null ? [] : [`--mem=${job.startsOver ? mebibytes(job.memory) : '1024M'}`]),
    ...siteLines(job.profile),
  ];
  return `#!/bin/bash
# Brings the results together once the arrays have ended, and checks what each task has left.
${header(options)}${preambleOf(job.profile)}
exec ${programWords(job)} ${shellWords(args)}
`;
}
