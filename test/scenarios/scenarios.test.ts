import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { PassReport } from '../../src/reconcile/pass.ts';
import { interceptSystem, systemError } from '../reconcile/failing-system.ts';
import { type ScratchRoot, scratchRoot } from '../reconcile/scratch-root.ts';

const HERE = import.meta.dirname;
const CASES = ['.', 'errors'].flatMap((folder) =>
  readdirSync(join(HERE, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'errors')
    .map((entry) => join(folder, entry.name)),
);

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
const wordsOf = (scene: string): string[][] =>
  scene
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' '));

/** Plays a line of the scene that changes files. */
const play = ({ places }: ScratchRoot, [verb = '', a = '', b = '', c = '']: readonly string[]): void => {
  const [inTree, inRepos] = [join(places.sshkeys, a), join(places.repos, a)];
  mkdirSync(dirname(inTree), { recursive: true });
  if (verb === 'folder') {
    const [uid, gid] = b.split(':').map(Number);
    mkdirSync(inRepos, { recursive: true });
    chownSync(inRepos, uid ?? 0, gid ?? 0);
    chmodSync(inRepos, Number.parseInt(c, 8));
  } else if (verb === 'copy') execFileSync('cp', ['-a', inRepos, join(places.repos, b)]);
  else if (verb === 'repos-link') symlinkSync(b, inRepos);
  else if (verb === 'link') {
    rmSync(inTree, { recursive: true, force: true });
    symlinkSync(b, inTree);
  } else if (verb === 'fifo') execFileSync('mkfifo', [inTree]);
  else if (verb === 'missing') rmSync(inTree, { recursive: true });
  else if (!['unreadable', 'one-server'].includes(verb) && !verb.includes('='))
    throw new Error(`no such verb: ${verb}`);
};

/** root can read everything. So a file counts as unreadable when its disk answers with an error. */
const withUnreadable = async (paths: readonly string[], action: () => Promise<PassReport>): Promise<PassReport> => {
  const undo = interceptSystem((call) => {
    if (/^(openSync|readdirSync)$/.test(call.name) && paths.includes(call.path)) throw systemError('EIO', call);
  });
  try {
    return await action();
  } finally {
    undo();
  }
};

/** What the last pass left and reported, as the files of expected/. */
const outcome = ({ places, settings }: ScratchRoot, report: PassReport): Record<string, string> => {
  const shown = (text: string): string =>
    text.replaceAll(places.repos, '/repos').replaceAll(places.sshkeys, '/sshkeys');
  const database = ['passwd', 'group', 'shadow'].map((file) => [file, shown(textOf(join(places.extrausers, file)))]);
  const keys = join(places.run, 'authorized_keys');
  const folders = readdirSync(places.repos)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => {
      const { uid, gid, mode } = lstatSync(join(places.repos, name));
      return lstatSync(join(places.repos, name)).isSymbolicLink()
        ? `${name} link\n`
        : `${name} ${uid}:${gid} ${(mode & 0o7777).toString(8)}\n`;
    });
  const findings = report.findings.map(
    ({ severity, code, file, line, message, remedy }) =>
      `${severity} ${code} ${file}${line === null ? '' : `:${line}`}\n    ${message}\n    ${remedy}\n`,
  );
  const changes = report.changes.map(({ kind, account, reason }) => `${kind} ${account}: ${reason}\n`);
  const end = report.failed === null ? '' : `FAILED ${report.failed}\n`;
  expect(settings.PUID).toBeGreaterThan(0);
  return Object.fromEntries([
    ...database,
    ...readdirSync(keys)
      .sort()
      .map((name) => [`authorized_keys/${name}`, textOf(join(keys, name))]),
    ['folders', folders.join('')],
    ['findings', shown(findings.join(''))],
    ['changes', shown(changes.join('')) + (report.stopped ? 'STOPPED\n' : '') + end],
  ]);
};

const expectedOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [relative(folder, path), textOf(path)]),
  );

const keep = (folder: string, files: Record<string, string>): void => {
  rmSync(folder, { recursive: true, force: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
};

let scratch: ScratchRoot;
afterEach(() => scratch.remove());

const replaceTree = (from: string): void => {
  const { sshkeys } = scratch.places;
  rmSync(sshkeys, { recursive: true });
  for (const folder of ['repos', 'repos-appendonly', 'admins', 'host'])
    mkdirSync(join(sshkeys, folder), { recursive: true });
  if (existsSync(from)) cpSync(from, sshkeys, { recursive: true, verbatimSymlinks: true });
};

const run = async (name: string): Promise<{ found: Record<string, string>; again: PassReport }> => {
  const folder = join(HERE, name);
  const scene = wordsOf(textOf(join(folder, 'scene')));
  const settings = scene.filter(([word]) => word?.includes('=')).map((words) => words.join(' ').split(/=(.*)/s));
  scratch = scratchRoot(Object.fromEntries(settings.map(([key, value]) => [key, value])));
  const pass = scene.some(([verb]) => verb === 'one-server') ? scratch.server() : scratch.pass;
  if (existsSync(join(folder, 'first'))) {
    replaceTree(join(folder, 'first'));
    await pass();
  }
  if (existsSync(join(folder, 'sshkeys'))) replaceTree(join(folder, 'sshkeys'));
  for (const words of scene) play(scratch, words);
  const unreadable = scene
    .filter(([verb]) => verb === 'unreadable')
    .map(([, path = '']) => join(scratch.places.sshkeys, path));
  const report = await withUnreadable(unreadable, () => pass());
  const found = outcome(scratch, report);
  return { found, again: await withUnreadable(unreadable, () => pass()) };
};

describe.each([0o022, 0o077])('under umask %o', (umask) => {
  it.each(CASES)('%s', async (name) => {
    const before = process.umask(umask);
    try {
      const { found, again } = await run(name);
      const folder = join(HERE, name, 'expected');
      if (process.env.SCENARIOS === 'write') keep(folder, found);
      expect(found).toEqual(expectedOf(folder));
      expect(again.changes).toEqual([]);
    } finally {
      process.umask(before);
    }
  });
});
