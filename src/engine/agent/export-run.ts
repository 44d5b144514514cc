import { z } from 'zod';
import { requireExport, requireOwnRun } from './grants';
import { tool } from './tool';

export const exportRun = tool({
  name: 'export_run',
  title: 'Export an unlearning run',
  description:
    'Writes the result of a run: the full checkpoint into a new folder, or the changed tensors as a patch file. Only below folders that were granted for it; the opened checkpoint is not changed.',
  input: z.strictObject({
    run: z.string().min(1).describe('Id or number of a run.'),
    to: z.string().min(1).describe('New folder of the checkpoint, or new file of the patch.'),
    form: z.enum(['checkpoint', 'patch']).describe('What to write.'),
  }),
  readOnly: false,
  async run({ run, to, form }, { request, workspace, grants }) {
    const place = await requireExport(grants, workspace, to);
    const own = await requireOwnRun(workspace, run);
    const { folder, changed, proof, bytesWritten } = await request('exportRun', { run: own, workspace, to: place, form });
    return { folder, changed, proof, bytesWritten };
  },
});
