/** Agents name runs and places; what they name leads nowhere that nobody let them go. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { requireExport, requireOwnRun, requireRuns } from '../../src/engine/agent/grants';
import { startRun } from '../../src/engine/agent/start-run';
import type { AgentHost } from '../../src/engine/agent/tool';
import { refuseLinks } from '../../src/experiment/run-folder';
import { runRecord } from '../experiment/run-fixture';
import { temporaryFolder } from '../files/temporary-folder';

const how = { runs: 'grant it', exports: () => 'grant it' };

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'nothing was refused';
}

function workspaceWith(...runs: readonly string[]): string {
  const workspace = temporaryFolder();
  runs.forEach((id, at) => {
    const folder = path.join(workspace, '.uoe/runs', id);
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, 'run.json'), JSON.stringify(runRecord({ id, number: at + 1 })));
  });
  return workspace;
}

describe('what an agent may name', () => {
  it('is a run of the workspace, by id or number', async () => {
    const workspace = workspaceWith('2026-01-01T00-00-00-npo', '2026-01-01T00-00-01-ga');
    expect(await requireOwnRun(workspace, '#2')).to.equal('2026-01-01T00-00-01-ga');
    expect(await requireOwnRun(workspace, '2026-01-01T00-00-00-npo')).to.equal('2026-01-01T00-00-00-npo');
    expect(await refusal(requireOwnRun(workspace, '7'))).to.match(/^There is no run "7"/);
  });

  it('is no path, whichever way it is written', async () => {
    const workspace = workspaceWith('a');
    const other = workspaceWith('b');
    const outside = path.join(other, '.uoe/runs/b');
    for (const name of [outside, path.relative(path.join(workspace, '.uoe/runs'), outside), '../b', 'a/../../b', '..', '.', '.hidden', 'a\\b', 'a\u0000'])
      expect(await refusal(requireOwnRun(workspace, name)), name).to.match(/is not the id or number of a run/);
    // A folder where the process happens to be is no run of the workspace either.
    const here = process.cwd();
    process.chdir(path.join(other, '.uoe/runs'));
    try {
      expect(await refusal(requireOwnRun(workspace, 'b'))).to.match(/^There is no run "b"/);
    } finally {
      process.chdir(here);
    }
  });

  it('leads out through no link: of a run, of the folder of runs, of a file in a run', async () => {
    const workspace = workspaceWith('a');
    const other = workspaceWith('b');
    fs.symlinkSync(path.join(other, '.uoe/runs/b'), path.join(workspace, '.uoe/runs/linked'));
    expect(await refusal(requireOwnRun(workspace, 'linked'))).to.match(/^Run linked is a link to /);
    const open = temporaryFolder();
    fs.mkdirSync(path.join(open, '.uoe'));
    fs.symlinkSync(path.join(other, '.uoe/runs'), path.join(open, '.uoe/runs'));
    expect(await refusal(requireOwnRun(open, 'b'))).to.match(/leads out of the workspace/);
    expect(await refusal(requireRuns({ runs: true, exports: [], how }, open, undefined))).to.match(/leads out of the workspace/);
    fs.symlinkSync(path.join(other, 'elsewhere.jsonl'), path.join(workspace, '.uoe/runs/a/steps.jsonl'));
    expect(await refusal(refuseLinks(path.join(workspace, '.uoe/runs/a')))).to.match(/steps\.jsonl is a symbolic link/);
  });

  it('a run is started only in the workspace’s own folder, and gone on with only there', async () => {
    const workspace = workspaceWith('a');
    const other = workspaceWith('b');
    const started: unknown[] = [];
    const host = {
      workspace,
      openModel: '/m',
      grants: { runs: true, exports: [], how },
      startRun: async (_recipe: unknown, resume: unknown) => {
        started.push(resume);
        return { record: runRecord({ target: { experts: [], train: 'expert' } }), folder: '' };
      },
    } as unknown as AgentHost;
    expect(await refusal(startRun.call({ resume: path.join(other, '.uoe/runs/b') }, host))).to.match(/is not the id/);
    expect(started).to.deep.equal([]);
    await startRun.call({ resume: '1' }, host);
    expect(started).to.deep.equal(['a']);
  });

  it('is written below a granted folder alone, links and dots followed', async () => {
    const workspace = workspaceWith('a');
    const out = path.join(workspace, 'out');
    const elsewhere = temporaryFolder();
    fs.mkdirSync(out);
    fs.symlinkSync(elsewhere, path.join(out, 'link'));
    const grants = { runs: false, exports: ['out'], how };
    expect(await requireExport(grants, workspace, 'out/new')).to.equal(path.join(out, 'new'));
    for (const to of ['out', 'out/../new', 'out/link/new', '/etc/new', 'output/new'])
      expect(await refusal(requireExport(grants, workspace, to)), to).to.match(/was not granted/);
  });
});
