/** What a site asks of a job: the "slurm" object of a sweep file. Every field is optional, and nothing is asked that isn't set. Descriptions are shown by editors. */
import * as z from 'zod';
import { memoryBytes } from '../protocol/recipe';
import { shortestPollSeconds } from './executor';

/** A value of one `#SBATCH` line: nothing that would begin another option or another line. */
const word = z.string().regex(/^[^\s"'\\`$#]+$/, 'is one word without quotes, $ and #');
const duration = z.string().regex(/^(\d+|\d+:\d{1,2}(:\d{1,2})?|\d+-\d{1,2}(:\d{1,2}){0,2})$/, 'is a time of Slurm: minutes, H:MM:SS or D-HH:MM:SS');
const argument = z.string().regex(/^[^\n\r\0]*$/, 'is one line');

export const slurmProfileSchema = z.strictObject({
  partition: word.optional().describe('Partition of the jobs.'),
  account: word.optional().describe('Account that the jobs are charged to.'),
  qos: word.optional().describe('Quality of service of the jobs.'),
  reservation: word.optional().describe('Reservation that the jobs use.'),
  constraint: word.optional().describe('Features that nodes must have.'),
  exclude: word.optional().describe('Nodes that are left out.'),
  gres: word.optional().describe('Generic resources of one run, such as "gpu:1" or "gpu:a100:1".'),
  time: duration
    .optional()
    .describe('Time limit of one run: minutes, "H:MM:SS" or "D-HH:MM:SS". Near it the run saves its state and goes back into the queue.'),
  cpus: z.int().min(1).optional().describe('Cores of one run.'),
  memory: z
    .string()
    .refine((text) => text === 'plan' || text === 'none' || memoryBytes(text).ok, 'is "plan", "none" or a size such as "32GB"')
    .optional()
    .describe('Memory of one run: "plan" (default: what the plan of the largest says), "none" (the partition\'s own), or a size such as "32GB".'),
  parallel: z.int().min(1).optional().describe('Runs at a time.'),
  signalSeconds: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe('Seconds before the time limit at which a run is asked to save its state. Default: 120, or a quarter of a limit below 8 minutes.'),
  pollSeconds: z.number().min(shortestPollSeconds).optional().describe('Seconds between two looks at the queue. Default: 30.'),
  preamble: z
    .union([z.string(), z.array(argument)])
    .optional()
    .describe('Lines of shell before the program: modules, environments, proxies.'),
  wrapper: z.array(argument).optional().describe('What stands before the program, such as ["apptainer", "exec", "image.sif"].'),
  program: z
    .array(argument)
    .min(1)
    .optional()
    .describe('What starts UOE on a node, such as ["/shared/bin/node", "/shared/uoe/cli.js"]. Default: the program that runs here.'),
  cluster: word.optional().describe('Cluster that commands are for: -M, on every one.'),
  options: z
    .array(word.regex(/^--[a-z]/, 'is a long option such as "--mail-type=END"'))
    .optional()
    .describe('More options of sbatch, such as ["--mail-type=END"].'),
});

export type SlurmProfile = Readonly<z.infer<typeof slurmProfileSchema>>;

/** A site's own settings under those of a sweep file: what the file says comes first, field by field. */
export const withSite = (site: SlurmProfile, own: SlurmProfile): SlurmProfile => ({ ...site, ...own });
