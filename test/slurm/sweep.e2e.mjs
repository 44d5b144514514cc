// A sweep on a real Slurm of two nodes against the same sweep on this machine: one node lost, one task cancelled, one past its time limit and one
// that fails, and in the end the same table and the same runs, bit for bit; an attribution and a scoring in shards, to the last bit. Arrays hold 12
// tasks. With accounting, where its database can be had, jobs leave the queue after seconds and sacct has to know them. `npm run test:slurm`; without
// Slurm, and without the right to install it, it says so and is counted as skipped.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startCluster } from './cluster.mjs';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const bundle = path.join(home, 'dist', 'cli.js');
const minutes = 40;

const { why, folder, environment, hasAccounting, cluster, slurm, end } = startCluster({ SLURM_TEST_ARRAY: '12', UOE_SLURM_POLL_SECONDS: '2' });

/** The command line; resolves with what it said. */
const uoe = (...args) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [bundle, ...args], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'])
      child[stream].setEncoding('utf8').on('data', (text) => {
        said[stream] += text;
      });
    child.on('close', (code) => resolve({ code, ...said }));
  });

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks again until `look` gives something; nothing here depends on how long it takes. */
async function until(what, look) {
  const end = Date.now() + (minutes / 3) * 60_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await pause(1000);
  }
}

const read = (...parts) => fs.readFileSync(path.join(...parts), 'utf8');
const rowsOf = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').length - 1 : 0);

/** Rows of one of the demo's files. */
function data(name, rows) {
  const at = path.join(folder, `${rows}-${name.replaceAll('/', '-')}`);
  fs.writeFileSync(at, read(home, 'demo', 'data', name).split('\n').slice(0, rows).join('\n'));
  return at;
}

/** What a site has of its own: a module's function, a container's wrapper, and -M where there is a database that knows the cluster. */
const site = {
  ...{ partition: 'main', time: '20', cpus: 1, ...(hasAccounting ? { cluster: 'test' } : {}) },
  preamble: ['module() { export UOE_SITE="$*"; }', 'module load its-own'],
  wrapper: ['bash', '-c', 'echo "inside, with $UOE_SITE"; exec "$@"', 'container'],
};

/** A sweep file of 24 runs on the demo checkpoint with a few rows of its data: three take long enough to be met by something. */
function sweepFile() {
  const recipe = {
    ...{ model: path.join(home, 'demo', 'checkpoint'), forget: data('forget.jsonl', 8), retain: data('retain.jsonl', 8), addDocumentStart: true },
    ...{ target: 'auto', steps: 3, batchSize: 2, optimizer: { lr: 0.003 }, backend: 'wasm', threads: 1 },
    evaluate: { forget: data('eval/forget.jsonl', 4), utility: [data('eval/retain.jsonl', 4)] },
    scoring: { options: 'likelihood', normalise: 'tokens' },
  };
  const long = (label, steps) => ({ label, set: { method: 'gdiff', steps, 'optimizer.lr': 0.0003 } });
  const short = ['npo', 'gdiff', 'ga', 'rmu'].flatMap((method) => [1, 2, 3, 4, 5].map((seed) => ({ label: `${method} ${seed}`, set: { method, seed } })));
  const fails = { label: 'fails', set: { steps: 20, 'optimizer.lr': 1e30 } };
  const runs = [long('past the limit', 1000), fails, ...short, long('cancelled', 300), long('on a lost node', 301)];
  assert.equal(runs.length, 24);
  const at = path.join(folder, 'all.sweep.json');
  fs.writeFileSync(at, JSON.stringify({ recipe, vary: { run: runs }, slurm: { ...site, parallel: 4 } }));
  return at;
}

/** What a run is, without what a clock, a machine or a number of order says. */
function runsOf(workspace) {
  const runs = path.join(workspace, '.uoe', 'runs');
  const own = new Map();
  for (const id of fs.readdirSync(runs).filter((name) => !name.startsWith('.'))) {
    const record = JSON.parse(read(runs, id, 'run.json'));
    const at = (name) => path.join(runs, id, name);
    const rows = read(at('steps.jsonl')).trim().split('\n');
    assert.ok(!own.has(record.sweep.task), `${record.sweep.task} was run twice`);
    own.set(record.sweep.task, {
      status: record.status,
      reason: record.reason,
      summary: record.summary,
      steps: rows.map((row) => ({ ...JSON.parse(row), ms: 0 })),
      attribution: read(at('attribution.json')),
      evaluation: fs.existsSync(at('evaluation.json')) ? read(at('evaluation.json')) : null,
      patch: fs.existsSync(at('patch.safetensors')) ? fs.readFileSync(at('patch.safetensors')).toString('base64') : null,
    });
  }
  return own;
}

const slurmTable = (workspace) => {
  const at = path.join(workspace, '.uoe', 'sweeps', 'all', 'results.csv');
  return fs.existsSync(at) ? read(at) : '';
};

/** The table without its seconds. */
function table(workspace) {
  const [head, ...rows] = read(workspace, '.uoe', 'sweeps', 'all', 'results.csv')
    .trim()
    .split(/\r?\n/)
    .map((row) => row.split(','));
  return rows.map((row) => Object.fromEntries(head.map((name, i) => [name, row[i]]).filter(([name]) => !name.startsWith('seconds'))));
}

before(() => {
  if (why === null) console.log(slurm('sinfo', '-N'));
});

after(end);

test('a sweep on two nodes of Slurm ends as on this machine', { skip: why ?? false, timeout: minutes * 60_000 }, async () => {
  const file = sweepFile();
  const [there, here] = ['cluster', 'local'].map((name) => path.join(folder, name));
  const local = uoe('sweep', file, '--workspace', here, '--on', 'local');
  const planned = await uoe('sweep', file, '--workspace', there, '--on', 'slurm', '--dry-run', '--json');
  assert.equal(planned.code, 0, planned.stderr);
  const submitted = await uoe('sweep', file, '--workspace', there, '--on', 'slurm', '--no-wait', '--json');
  assert.equal(submitted.code, 0, submitted.stderr);
  assert.equal(JSON.parse(submitted.stdout).submitted.length, 24);
  const submission = (number) => JSON.parse(read(there, '.uoe', 'sweeps', 'all', 'slurm', String(number), 'submission.json'));
  const arrays = [1, 2].map(submission);
  assert.deepEqual(
    arrays.map(({ tasks }) => tasks.length),
    [12, 12],
    'an array holds 12',
  );
  const shown = JSON.parse(planned.stdout).submissions;
  assert.equal(shown.length, 2);
  for (const { folder: own, manifest, array, merge } of shown)
    assert.deepEqual(
      [manifest, array, merge],
      ['manifest', 'array.sh', 'merge.sh'].map((name) => read(own, name)),
      'what a dry run shows is what is submitted',
    );
  const jobs = new Map(arrays.flatMap(({ job, tasks }) => tasks.map((task, index) => [task, `${job}_${index}`])));
  const held = JSON.parse(submitted.stdout).submitted.slice(22);
  // What comes last is let go one by one.
  for (const task of held) slurm('scontrol', 'hold', jobs.get(task));
  const heard = new Map();
  const states = async () => {
    const { stdout, stderr, code } = await uoe('sweep', file, '--workspace', there, '--state', '--json');
    assert.equal(code, 0, stderr);
    const tasks = JSON.parse(stdout).tasks.map((task) => ({ ...task, name: task.labels.run }));
    for (const { name, words, task, seen } of tasks) {
      heard.set(name, [...(heard.get(name) ?? []), words]);
      // What Slurm puts back it would start after two minutes.
      if (seen.why === 'BeginTime') slurm('scontrol', 'update', `JobId=${jobs.get(task)}`, 'StartTime=now', 'TimeLimit=20');
    }
    return new Map(tasks.map((task) => [task.name, task]));
  };
  /** A long run in the midst of its steps. */
  const midway = (name) =>
    until(`${name} runs`, async () => {
      const task = (await states()).get(name);
      assert.notEqual(task.state, 'done', `${name} was over before anything befell it`);
      return task.seen.at === 'running' && task.run !== null && rowsOf(path.join(there, '.uoe', 'runs', task.run, 'steps.jsonl')) > 10 ? task : null;
    });
  const befell = (what, isSo) =>
    until(what, async () => {
      await states();
      return isSo();
    });

  // Its limit comes near, one to two minutes from now: the signal is due 120 seconds before, at the next of Slurm's rounds, which are 30 seconds apart.
  const limited = await midway('past the limit');
  const elapsed = slurm('squeue', '-h', '-r', '-j', jobs.get(limited.task), '-o', '%M').trim().split(':');
  slurm('scontrol', 'update', `JobId=${jobs.get(limited.task)}`, `TimeLimit=${Number(elapsed.at(-2)) + 2}`);
  await befell('the run is put back', () => read(limited.log).includes('the time limit is near: back into the queue'));

  slurm('scontrol', 'release', jobs.get(held[0]));
  await midway('cancelled');
  const ended = await uoe('sweep', file, '--workspace', there, '--cancel', 'cancelled');
  assert.equal(ended.code, 0, ended.stderr);

  // A node goes for good, with all that runs there.
  slurm('scontrol', 'release', jobs.get(held[1]));
  const lost = await midway('on a lost node');
  assert.equal(cluster('node-kill', lost.seen.where).status, 0);
  await until('the queue is empty', async () => [...(await states()).values()].every(({ seen }) => seen.at === 'ended'));
  const seen = await states();
  console.log([...heard].map(([name, words]) => `${name}: ${words.filter((own, i) => own !== words[i - 1]).join(' → ')}`).join('\n'));
  assert.match(heard.get('on a lost node').join('\n'), /lost(?: at step \d+)?: its process is gone, though its job counts as running/);
  assert.match(seen.get('cancelled').words, /^stopped at step \d+ \(CANCELLED/);
  assert.match(seen.get('fails').words, /^failed: /);
  assert.equal([...seen.values()].filter(({ state }) => state === 'done').length, 22);

  assert.match(read(limited.log), /inside, with load its-own/);
  if (hasAccounting) {
    await until('only sacct knows a job', () => slurm('squeue', '-h', '-r', '-t', 'all', '-j', jobs.get(limited.task)) === '');
    assert.deepEqual((await states()).get('past the limit').seen, seen.get('past the limit').seen);
  }
  await until('the merge job writes the table', () => /past the limit/.test(slurmTable(there)));

  const rest = await uoe('sweep', file, '--workspace', there, '--on', 'slurm', '--json');
  assert.match(rest.stderr, /Submitted 1 of 24 tasks/);
  assert.equal(read(there, '.uoe', 'sweeps', 'all', 'slurm', '3', 'manifest').trim().split('\n').length, 1, 'only what was cancelled is submitted again');
  assert.match(rest.stderr, /1 of 24 tasks have no result/);

  const own = await local;
  assert.match(own.stderr, /1 of 24 tasks have no result/);
  assert.deepEqual(table(there), table(here));
  const [far, near] = [runsOf(there), runsOf(here)];
  assert.equal(near.size, 24);
  for (const [task, run] of near) assert.deepEqual(far.get(task), run, task);
});

test('an attribution and a scoring in shards on two nodes are those of one process', { skip: why ?? false, timeout: minutes * 60_000 }, async () => {
  const workspace = path.join(folder, 'shards');
  const checkpoint = path.join(home, 'demo', 'checkpoint');
  const [prompts, against, asked] = [data('forget.jsonl', 40), data('retain.jsonl', 30), data('eval/forget.jsonl', 12)];
  const shared = ['--document-start', 'yes', '--backend', 'wasm', '--memory', '1GB'];
  const attribute = ['attribute', checkpoint, '--prompts', prompts, '--against', against, ...shared];
  const score = ['score', checkpoint, '--data', asked, ...shared];
  const settings = path.join(folder, 'site.json');
  fs.writeFileSync(settings, JSON.stringify(site));
  const onCluster = (count, own = settings) => ['--shards', String(count), '--on', 'slurm', '--site', own, '--workspace', workspace];
  const answer = async (...args) => {
    const { code, stdout, stderr } = await uoe(...args, '--json');
    assert.equal(code, 0, stderr);
    return { json: JSON.parse(stdout), stderr };
  };
  const { seconds: _seconds, weights: _weights, ...whole } = (await answer(...attribute)).json;

  // Left to itself: two arrays, and the job that depends on both writes what there is.
  const { json: left } = await answer(...attribute, ...onCluster(14), '--no-wait');
  assert.equal(left.submitted.length, 14);
  const reading = path.join(workspace, '.uoe', 'readings', left.name);
  assert.deepEqual(fs.readdirSync(path.join(reading, 'slurm')).sort(), ['1', '2']);
  await until('the merge job ends', () => fs.existsSync(path.join(reading, 'result.json')));
  assert.deepEqual(JSON.parse(read(reading, 'result.json')), whole);

  // One part is gone: it alone is made again.
  fs.rmSync(path.join(reading, 'parts', '05-of-14.safetensors'));
  const again = await answer(...attribute, ...onCluster(14));
  assert.match(again.stderr, /Submitted 1 of 14 shards to Slurm/);
  assert.deepEqual(again.json, whole);

  // Queued for later, one ended, then all; then as usual.
  const later = JSON.stringify({ ...site, options: ['--begin=now+1hour'] });
  await answer(...score, ...onCluster(4, later), '--no-wait');
  const words = async () => (await answer(...score, ...onCluster(4), '--state')).json.tasks.map((task) => task.words);
  for (const own of await words()) assert.match(own, /^queued/);
  assert.deepEqual((await answer(...score, ...onCluster(4), '--cancel', 'shard-2')).json, { cancelled: ['shard-2'] });
  assert.match((await words())[1], /^left no part \(CANCELLED/);
  assert.equal((await answer(...score, ...onCluster(4), '--cancel')).json.cancelled.length, 3);
  const { json: scored, stderr } = await answer(...score, ...onCluster(4));
  assert.match(stderr, /Submitted 4 of 4 shards to Slurm/);
  assert.deepEqual(scored, (await answer(...score)).json);

  const few = await uoe('score', checkpoint, '--data', data('eval/forget.jsonl', 2), ...shared, ...onCluster(3));
  assert.equal(few.code, 1);
  assert.match(
    few.stderr,
    /Shard 1 of 3 has no part \(The data have 2 rows, which can't be cut into 3 shards\. Take fewer shards\); its log is .*shard-1\.log\. 2 more have none\./,
  );
});
