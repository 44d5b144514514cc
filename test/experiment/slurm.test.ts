/** Slurm's answers as text, the script that a job is, and the words for what became of a task. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { readAccounting, readQueue } from '../../src/experiment/slurm-commands';
import { type SlurmProfile, slurmProfileSchema } from '../../src/experiment/slurm-profile';
import { arrayScript, manifestText } from '../../src/experiment/slurm-script';
import { taskWords } from '../../src/experiment/task-words';
import type { RunRecord } from '../../src/protocol/records';
import { temporaryFolder } from '../files/temporary-folder';

describe('Slurm’s answers', () => {
  it('give one sight to each task; rows without an index, and states of later versions, say nothing wrong', () => {
    const queue = readQueue(
      '12|0|RUNNING|None|tn1\n12|1|PENDING|JobArrayTaskLimit|\n12|2|COMPLETING|None|tn2\n12|3|NEW_STATE|None|tn2\n13|N/A|RUNNING|None|tn1\n',
    );
    expect([...queue]).to.deep.equal([
      ['12_0', { at: 'running', where: 'tn1' }],
      ['12_1', { at: 'queued', why: 'JobArrayTaskLimit' }],
      ['12_2', { at: 'running', where: 'tn2' }],
      ['12_3', { at: 'running', where: 'tn2' }],
    ]);
    const books = readAccounting(
      '12|FAILED|1:0|tn1\n12_4|CANCELLED by 1000|0:0|tn1\n12_5|FAILED|3:0|tn2\n12_[6,8-9%2]|CANCELLED by 0|0:0|None assigned\n12_[10-11]|PENDING|0:0|None assigned\n',
    );
    expect([...books]).to.deep.equal([
      ['12_4', { at: 'ended', how: 'CANCELLED', where: 'tn1' }],
      ['12_5', { at: 'ended', how: 'FAILED, exit 3', where: 'tn2' }],
      ...[6, 8, 9].map((index) => [`12_${index}`, { at: 'ended', how: 'CANCELLED', where: '' }]),
    ]);
  });
});

describe('the words for a task', () => {
  const record = (status: RunRecord['status']) => ({ status, steps: 7, number: 1 }) as RunRecord;
  const running = { at: 'running', where: 'tn1' } as const;
  const words = (status: RunRecord['status'] | null, state: Parameters<typeof taskWords>[0]['state'], sight: Parameters<typeof taskWords>[1]) =>
    taskWords({ state, record: status === null ? null : record(status) }, sight);

  it('tell apart what Slurm says late, what it has forgotten, and what went with its node', () => {
    expect(words('done', 'done', running), 'the run folder is the truth').to.equal('done');
    expect(words(null, 'waiting', running)).to.equal('starting on tn1');
    expect(words('running', 'running', running)).to.equal('running on tn1');
    expect(words('interrupted', 'unfinished', running)).to.match(/^lost at step 7: its process is gone, though its job counts as running on tn1/);
    expect(words('cancelled', 'unfinished', running)).to.match(/^stopped at step 7, its job ends/);
    expect(words('interrupted', 'unfinished', { at: 'ended', how: 'NODE_FAIL', where: 'tn2' })).to.match(/^lost with its node tn2 at step 7/);
    expect(words('interrupted', 'unfinished', { at: 'ended', how: 'TIMEOUT', where: 'tn2' })).to.match(/^stopped at step 7 \(TIMEOUT on tn2\)/);
    expect(words('interrupted', 'unfinished', { at: 'forgotten' })).to.match(/^lost at step 7: its job is forgotten/);
    expect(words('running', 'running', { at: 'forgotten' })).to.equal('running, though its job is forgotten');
    expect(words(null, 'waiting', { at: 'queued', why: 'PartitionTimeLimit' })).to.match(/never starts: its time is above/);
    expect(words('cancelled', 'unfinished', { at: 'queued', why: 'BeginTime' })).to.match(/^unfinished, queued: Slurm starts it again after a pause/);
    expect(words(null, 'waiting', { at: 'unknown', why: 'Slurm can’t be asked.' })).to.match(/not known/);
  });
});

describe('the script of an array', () => {
  const words = ['a b', '"$HOME"', "it's", '*', '', '--x=~', '`date`'];
  let [folder, log, told, program] = ['', '', '', ''];
  let env: NodeJS.ProcessEnv = {};

  beforeEach(function () {
    if (process.platform === 'win32') this.skip();
    folder = temporaryFolder();
    [log, told, program] = ['it’s the $log.txt', 'told.json', 'program.js'].map((name) => path.join(folder, name));
    // Says what it was given, and ends in order when it is asked to.
    fs.writeFileSync(
      program,
      `const fs = require('node:fs');
       process.on('SIGTERM', () => { fs.appendFileSync(${JSON.stringify(told)}, '\\nasked'); setTimeout(() => process.exit(130), 200); });
       fs.writeFileSync(${JSON.stringify(told)}, JSON.stringify([process.argv.slice(2), process.env.SITE]));
       if (process.argv.includes('wait')) setInterval(() => {}, 1000);`,
    );
    // A site without requeuing: the command is there and says no.
    const bin = path.join(folder, 'bin');
    fs.mkdirSync(bin);
    fs.writeFileSync(path.join(bin, 'scontrol'), '#!/bin/sh\necho "scontrol $*"\nexit 1\n', { mode: 0o755 });
    env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, SLURM_ARRAY_JOB_ID: '15', SLURM_ARRAY_TASK_ID: '1' };
  });

  const scriptOf = (profile: SlurmProfile, args: readonly string[]): string => {
    const text = arrayScript({ name: 'uoe-x', folder, profile, program: [process.execPath, program], memory: 3 * 2 ** 30, startsOver: false }, 2, 1);
    fs.writeFileSync(path.join(folder, 'manifest'), manifestText([0, 1].map((own) => ({ id: String(own), log, args: [...args, String(own)] }))));
    fs.writeFileSync(path.join(folder, 'array.sh'), text);
    return text;
  };

  it('asks for what the site’s profile says and nothing else, and refuses what would be another line', () => {
    const text = scriptOf({ partition: 'gpu', gres: 'gpu:a100:1', time: '0:02', options: ['--nice=5'] }, []);
    const asked = text.split('\n').filter((line) => line.startsWith('#SBATCH'));
    expect(asked).to.deep.equal(
      [
        ...['--job-name=uoe-x', '--array=0-1%1', '--export=NONE', '--output=logs/%a.log', '--open-mode=append', '--requeue', '--signal=B:USR1@1'],
        ...['--time=0:02', '--mem=3072M', '--gres=gpu:a100:1', '--partition=gpu', '--nice=5'],
      ].map((option) => `#SBATCH ${option}`),
    );
    expect(slurmProfileSchema.safeParse({ partition: 'main\n#SBATCH --x' }).success).to.equal(false);
    expect(slurmProfileSchema.safeParse({ partitoin: 'main' }).success).to.equal(false);
  });

  it('gives the program its line’s very words, after the site’s own lines', () => {
    scriptOf({ preamble: ['export SITE="its own"'] }, words);
    expect(spawnSync('bash', ['array.sh'], { cwd: folder, env }).status).to.equal(0);
    expect(JSON.parse(fs.readFileSync(told, 'utf8'))).to.deep.equal([[...words, '1'], 'its own']);
    expect(fs.readFileSync(log, 'utf8')).to.match(/^job 15_1 on /);
  });

  it('near the time limit asks the run to end in order and puts this one task back; a cancel does not put it back', async () => {
    for (const [signal, isPutBack] of [
      ['SIGUSR1', true],
      ['SIGTERM', false],
    ] as const) {
      scriptOf({}, ['wait']);
      for (const file of [log, told]) fs.rmSync(file, { force: true });
      const shell = spawn('bash', ['array.sh'], { cwd: folder, env, stdio: 'ignore' });
      while (!fs.existsSync(told)) await new Promise((resolve) => setTimeout(resolve, 20));
      shell.kill(signal);
      expect(await new Promise((resolve) => shell.on('close', resolve))).to.equal(130);
      expect(fs.readFileSync(told, 'utf8')).to.match(/asked$/);
      expect(fs.readFileSync(log, 'utf8').includes('scontrol requeue 15_1'), signal).to.equal(isPutBack);
    }
  });
});
