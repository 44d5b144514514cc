/** The Slurm of a test: two nodes in a folder of their own, made by cluster.sh, or a sentence on why there can be none. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cluster.sh');
const isHere = (program) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`]).status === 0;
const parts = { cluster: ['slurmctld', 'slurmd', 'munged'], accounting: ['slurmdbd', 'mariadbd'] };
const areHere = (programs) => programs.every(isHere);

/** `settings`: variables of cluster.sh. Throws nothing: `why` says what is missing, null where the cluster is up. */
export function startCluster(settings = {}) {
  /** Short: the path of a socket in it is bounded. */
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-slurm-'));
  const environment = { ...process.env, SLURM_TEST_DIR: path.join(folder, 'c'), ...settings };
  const cluster = (...args) => spawnSync('bash', [script, ...args], { encoding: 'utf8', env: environment });

  /** Installs what is missing; a sentence on why it could not, else null. */
  function install() {
    if (process.getuid() !== 0) return 'only root may install it (bash test/slurm/cluster.sh install)';
    if (!isHere('apt-get')) return 'there is no apt-get to install it with';
    const installed = cluster('install');
    return installed.status === 0 ? null : `it could not be installed: ${installed.stderr.trim().split('\n').at(-1)}`;
  }

  /** Accounting where its database is here, or can be installed; the cluster does without. */
  function withAccounting() {
    environment.SLURM_TEST_ACCOUNTING = '1';
    const without = areHere([...parts.cluster, ...parts.accounting]) ? null : install();
    if (without !== null) console.log(`without accounting: ${without}`);
    environment.SLURM_TEST_ACCOUNTING = without === null ? '1' : '0';
    environment.SLURM_TEST_MINJOBAGE = without === null ? '5' : '3600';
  }

  function whyNot() {
    if (process.platform !== 'linux') return `Slurm needs Linux, this is ${process.platform}`;
    withAccounting();
    const missing = areHere(parts.cluster) ? null : install();
    if (missing !== null) return `Slurm is not installed, and ${missing}`;
    const started = cluster('start');
    return started.status === 0 ? null : `the test cluster did not start: ${started.stderr.trim().split('\n').at(-1)}`;
  }

  const why = whyNot();
  if (why !== null) console.log(`skipped: ${why}`);
  environment.SLURM_CONF = path.join(folder, 'c', 'etc', 'slurm.conf');
  return {
    why,
    folder,
    /** Of whoever asks this cluster. */
    environment,
    hasAccounting: environment.SLURM_TEST_ACCOUNTING === '1',
    cluster,
    slurm: (command, ...args) => spawnSync(command, args, { encoding: 'utf8', env: environment }).stdout,
    end() {
      if (why === null) cluster('stop');
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}
