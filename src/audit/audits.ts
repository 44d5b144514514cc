/** The audits, in the order in which they are run and shown. Adding one: its file and a line here. */
import type { Audit } from './audit';
import { extraction } from './extraction';
import { forbid } from './forbid';
import { forceNext } from './force-next';
import { near } from './near';
import { paraphrase } from './paraphrase';
import { quantising } from './quantise';
import { relearning } from './relearn';

export const audits: readonly Audit[] = [
  forbid,
  forceNext,
  relearning('components'),
  relearning('full'),
  quantising(8),
  quantising(4),
  extraction,
  paraphrase,
  near,
];
