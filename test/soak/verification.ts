import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { letsIn } from '../e2e/harness/logging-in.ts';
import { until } from '../e2e/harness/machine.ts';
import { type Access, admits, wish } from './access.ts';
import { findingsOf, normalised } from './findings.ts';
import type { Login, Model } from './model.ts';
import type { Scene } from './scene.ts';

/** What `update-borgusers --json` promises to programs. */
export type Report = {
  readonly changes: readonly unknown[];
  readonly findings: readonly { readonly code: string; readonly file: string; readonly severity: string }[];
  readonly accounts: readonly {
    readonly name: string;
    readonly role: string;
    readonly uid: number;
    readonly keys: number;
    readonly quota?: number;
    readonly subRepositories?: true;
  }[];
  readonly stopped: boolean;
  readonly failed?: string;
};

const OPERATOR = 'borg';
const PUID = 1000;

/** What `update-borgusers --json` says. With `--dry-run` it only looks. */
export const askReport = async ({ server }: Pick<Scene, 'server'>, ...words: readonly string[]): Promise<Report> => {
  const { exitCode, stdout, stderr } = await server.exec(['update-borgusers', '--json', ...words], { reject: false });
  if (exitCode > 2) throw new Error(`update-borgusers ended with ${exitCode}: ${stdout}${stderr}`);
  const report: Report = JSON.parse(stdout);
  const code = report.stopped ? 2 : report.findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  if (code !== exitCode) throw new Error(`update-borgusers ended with ${exitCode}, and its report means ${code}`);
  return report;
};

/** Resolves once the server has nothing left to do about the tree. The test only looks (`--dry-run`): the server has to act by itself. */
export const settled = (scene: Scene): Promise<Report> =>
  until('the server to take up the key tree', async () => {
    const report = await askReport(scene, '--dry-run');
    return report.changes.length === 0 && report;
  });

/** @throws Error where the server's report is not what the model says */
export const expectReport = (report: Report, { tree, access }: Model): void => {
  const accounts = report.accounts.filter(({ name }) => name !== OPERATOR).map(({ uid, ...account }) => account);
  const wanted = [...access]
    .map(([name, { role, keys, quota, sub }]) => ({
      ...{ name, role, keys: keys.size, ...(quota !== undefined && { quota }), ...(sub && { subRepositories: true }) },
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  expectSame('accounts', accounts, wanted);
  expectSame('findings', normalised(report.findings), findingsOf(tree, access));
  expectSame('stopped', report.stopped, wish(tree, access).conflicts.size > 0);
};

const expectSame = (what: string, found: unknown, wanted: unknown): void => {
  if (!isDeepStrictEqual(found, wanted))
    throw new Error(`${what} are\n  ${JSON.stringify(found)}\nand should be\n  ${JSON.stringify(wanted)}`);
};

/** Tries logins, one attempt each, and holds every answer to the model. */
export const expectLogins = async (scene: Scene, access: Access, logins: readonly Login[]): Promise<void> => {
  const answers = await Promise.all(
    logins.map(async ({ account, key }) => {
      const before = admits(access, account, key, Date.now());
      const found = await letsIn(scene.client, account, scene.keys[key]);
      const after = admits(access, account, key, Date.now());
      return before === after && before !== 'either' && (before === 'yes') !== found
        ? `${account} ${found ? 'lets in' : 'refuses'} key ${key}`
        : null;
    }),
  );
  const wrong = answers.filter((answer) => answer !== null);
  if (wrong.length > 0) throw new Error(`against the model ${wrong.join(', ')}`);
};

/**
 * Holds that every folder is there, that it belongs to its account, and that no uid changes hands.
 *
 * @returns the uids that are known now
 */
export const expectIdentities = async (
  scene: Scene,
  model: Model,
  report?: Report,
): Promise<ReadonlyMap<string, number>> => {
  const names = (await readdir(scene.server.repos)).filter((name) => !name.startsWith('.'));
  const gone = [...model.folders].filter((name) => !names.includes(name));
  if (gone.length > 0) throw new Error(`gone from /repos: ${gone.join(' ')}`);
  const next = new Map(model.uids);
  for (const name of names) {
    const { uid, gid, mode } = await stat(join(scene.server.repos, name));
    if (uid === PUID) continue;
    const had = next.get(name);
    if (had !== undefined && had !== uid) throw new Error(`${name} had uid ${had} and now has ${uid}`);
    const other = [...next].find(([each, number]) => number === uid && each !== name);
    if (other) throw new Error(`${name} has uid ${uid}, which is ${other[0]}'s`);
    const shape = `${gid} ${(mode & 0o7777).toString(8)}`;
    if (shape !== `${uid} 2770`) throw new Error(`/repos/${name} of ${uid} has group and mode ${shape}`);
    next.set(name, uid);
  }
  for (const { name, role, uid } of report?.accounts ?? []) {
    const wanted = role === 'admin' ? PUID : next.get(name);
    if (uid !== wanted) throw new Error(`${name} (${role}) has uid ${uid}, and its folder says ${wanted}`);
  }
  for (const path of model.repositories.keys()) await stat(join(scene.server.repos, path, 'config'));
  return next;
};
