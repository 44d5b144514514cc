/** What this build can do, from the descriptors in their own files. */
import { audits } from '../audit/audits';
import { metricDescriptors } from '../evaluate/metrics';
import { familyDescriptors } from '../model/families';
import type { Catalogue } from '../protocol/catalogue';
import { presets } from '../protocol/recipe';
import { anchorDescriptor } from '../unlearn/anchor';
import { methodDescriptors } from '../unlearn/methods';
import { retainDescriptors } from '../unlearn/retain';

export const catalogue: Catalogue = {
  families: familyDescriptors,
  methods: methodDescriptors,
  retainLosses: retainDescriptors,
  anchor: anchorDescriptor,
  metrics: metricDescriptors,
  audits: audits.map(({ descriptor }) => descriptor),
  presets: presets.map(({ id, label, help, recipe }) => ({ id, label, help, recipe })),
};
