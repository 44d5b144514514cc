/** What a site asks of a job: the "slurm" object of a sweep file. Every field is optional, and nothing is asked that isn't set. */
import * as z from 'zod';
import { memoryBytes } from '../protocol/recipe';

/** A value of one `#SBATCH` line: nothing that would begin another option or another line. */
const word = z.string().regex(/^[^\s"'\\`$#]+$/, 'is one word without quotes, $ and #');
const duration = z.string().regex(/^(\d+|\d+:\d{1,2}(:\d{1,2})?|\d+-\d{1,2}(:\d{1,2}){0,2})$/, 'is a time of Slurm: minutes, H:MM:SS or D-HH:MM:SS');
const argument = z.string().regex(/^[^\n\r\0]*$/, 'is one line');

export const slurmProfileSchema = z.strictObject({
  partition: word.optional(),
  account: word.optional(),
  qos: word.optional(),
  reservation: word.optional(),
  constraint: word.optional(),
  exclude: word.optional(),
  /** `gpu:1`, `gpu:a100:1`. */
  gres: word.optional(),
  /** Limit of one task. Near it a run saves its state and goes back into the queue. */
  time: duration.optional(),
  cpus: z.int().min(1).optional(),
  /** "plan" (default): what the plan of the largest task says; "none": the partition's own; or a size such as "32GB". */
  memory: z
    .string()
    .refine((text) => text === 'plan' || text === 'none' || memoryBytes(text).ok, 'is "plan", "none" or a size such as "32GB"')
    .optional(),
  /** Tasks at a time. */
  parallel: z.int().min(1).optional(),
  /** Seconds before the limit at which a run is asked to save its state (default 120, a quarter of a limit below 8 minutes). */
  signalSeconds: z.int().min(1).max(65_535).optional(),
  /** Seconds between two looks at the queue (default 30). */
  pollSeconds: z.number().min(10).optional(),
  /** Lines of shell before the program: modules, environments, proxies. */
  preamble: z.union([z.string(), z.array(argument)]).optional(),
  /** What stands before the program: `["apptainer", "exec", "image.sif"]`. */
  wrapper: z.array(argument).optional(),
  /** What starts UOE on a node; default: the node program and the file that run here. */
  program: z.array(argument).min(1).optional(),
  /** `-M`, on every command. */
  cluster: word.optional(),
  /** More options of sbatch: `["--mail-type=END"]`. */
  options: z.array(word.regex(/^--[a-z]/, 'is a long option such as "--mail-type=END"')).optional(),
});

export type SlurmProfile = Readonly<z.infer<typeof slurmProfileSchema>>;

/** A site's own settings under those of a sweep file: what the file says comes first, field by field. */
export const withSite = (site: SlurmProfile, own: SlurmProfile): SlurmProfile => ({ ...site, ...own });
