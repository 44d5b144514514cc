// Known vulnerabilities of what ships: `npm audit` of the production packages, parted into those that a build holds (dist/metafile.json) and those of which nothing
// is bundled, such as the installer of a package whose code alone is used.
//   node tools/audit.mjs [FOLDER]     exit 0 without a finding in a bundle, 1 with one, 2 where nothing was audited because the registry gave no answer
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { packagesOf } from './sbom.mjs';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Findings of npm's report (format 2) as sentences: of packages in `folders`, and of others. */
export function partedFindings({ vulnerabilities }, folders) {
  const bundled = [];
  const absent = [];
  for (const { name, severity, via, nodes } of Object.values(vulnerabilities)) {
    // A finding that only comes from another package is told there.
    const own = via.filter((cause) => typeof cause === 'object');
    if (own.length === 0) continue;
    const inside = nodes.filter((node) => folders.includes(node));
    for (const { title, url, range } of own) (inside.length > 0 ? bundled : absent).push(`${name} (${severity}): ${title}, versions ${range}. ${url}`);
  }
  return { bundled, absent };
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const build = path.resolve(process.argv[2] ?? path.join(home, 'dist'));
  const metafile = JSON.parse(fs.readFileSync(path.join(build, 'metafile.json'), 'utf8'));
  const npm = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: home, encoding: 'utf8', maxBuffer: 2 ** 28, shell: process.platform === 'win32' });
  const report = JSON.parse(npm.stdout || '{}');
  if (!report.vulnerabilities) {
    const why = report.message ?? npm.stderr.trim().split('\n')[0];
    console.error(`Nothing was audited: the registry gave no answer (${why}); ask one that has advisories (npm config get registry).`);
    process.exit(2);
  }
  const { bundled, absent } = partedFindings(report, packagesOf(metafile));
  for (const text of bundled) console.log(`in a bundle: ${text}`);
  for (const text of absent) console.log(`not bundled: ${text}`);
  console.log(`${bundled.length} findings in what ships, ${absent.length} in packages of which nothing is bundled.`);
  process.exitCode = bundled.length > 0 ? 1 : 0;
}
