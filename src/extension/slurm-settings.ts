/** `uoe.slurm.*` as a site profile: under the settings of a sweep file, which come first. What is empty is not asked. */
import type { SlurmProfile } from '../experiment/slurm-profile';

export const slurmFields = [
  ...(['partition', 'account', 'qos', 'reservation', 'constraint', 'exclude', 'gres', 'time', 'cpus', 'memory', 'parallel'] as const),
  ...(['signalSeconds', 'pollSeconds', 'preamble', 'wrapper', 'program', 'cluster', 'options'] as const),
] satisfies readonly (keyof SlurmProfile)[];

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== 0 && value !== '' && !(Array.isArray(value) && value.length === 0);

/** `get`: a setting by its name below `uoe.slurm`. The command line checks the form. */
export const slurmSettings = (get: (field: (typeof slurmFields)[number]) => unknown): SlurmProfile =>
  Object.fromEntries(slurmFields.map((field) => [field, get(field)]).filter(([, value]) => isSet(value))) as SlurmProfile;
