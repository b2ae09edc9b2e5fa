import { chownSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Preparation } from '../../src/accounts/desired.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { prepareRepositories } from '../../src/reconcile/prepare.ts';
import { scanRepositories } from '../../src/repositories/scan.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

let scratch: ScratchRoot;
let repos: string;
beforeEach(() => {
  scratch = scratchRoot();
  repos = scratch.places.repos;
});
afterEach(() => scratch.remove());

const preparation = (name: string, action: Preparation['action'], uid = 10000): Preparation => ({
  name: name as AccountName,
  uid,
  action,
  reason: '',
});
const prepare = (preparations: readonly Preparation[], signal = new AbortController().signal) =>
  prepareRepositories(repos, preparations, () => {}, signal);
const ownerOf = (path: string): string => {
  const { uid, gid, mode } = lstatSync(join(repos, path));
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
};
/** A repository of another image: files and folders of uid 1000, a link that leads out, names that are options. */
const foreign = (name: string): void => {
  mkdirSync(join(repos, name, 'data/0'), { recursive: true, mode: 0o755 });
  writeFileSync(join(repos, name, 'config'), 'config', { mode: 0o600 });
  writeFileSync(join(repos, name, 'data/0/--reference=x'), 'segment', { mode: 0o400 });
  symlinkSync(join(scratch.root, 'outside'), join(repos, name, 'link'));
  writeFileSync(join(scratch.root, 'outside'), 'outside', { mode: 0o600 });
  for (const path of ['', 'data', 'data/0', 'config', 'data/0/--reference=x'])
    chownSync(join(repos, name, path), 1000, 1000);
};

describe('a repository folder', () => {
  it('that takes long to hand over is told, with the number of entries that are done', async () => {
    for (const name of ['one', 'two']) foreign(name);
    for (let file = 0; file < 2500; file += 1) writeFileSync(join(repos, 'two/data/0', String(file)), '');
    const told: unknown[] = [];
    const both = [preparation('one', 'adopt'), preparation('two', 'adopt', 10001)];
    await prepareRepositories(repos, both, (now) => told.push(now), new AbortController().signal);
    expect(told).toEqual([
      { account: 'one', entries: 0, done: 0, total: 2 },
      ...[0, 1000, 2000].map((entries) => ({ account: 'two', entries, done: 1, total: 2 })),
    ]);
  });

  it('that takes long does not keep the next one waiting', async () => {
    for (const name of ['one', 'two']) foreign(name);
    for (let file = 0; file < 2500; file += 1) writeFileSync(join(repos, 'one/data/0', String(file)), '');
    const told: unknown[] = [];
    const both = [preparation('one', 'adopt'), preparation('two', 'adopt', 10001)];
    const { signal } = new AbortController();
    expect(await prepareRepositories(repos, both, (now) => told.push(now), signal, 1)).toEqual([]);
    expect(told).toContainEqual({ account: 'two', entries: 0, done: 0, total: 2 });
    expect([ownerOf('one/data/0/0'), ownerOf('two/config')]).toEqual(['10000:10000 660', '10001:10001 660']);
  });

  it('that is new belongs to its account and its private group, with the setgid bit, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      expect(await prepare([preparation('web01', 'create')])).toEqual([]);
    } finally {
      process.umask(before);
    }
    expect(ownerOf('web01')).toBe('10000:10000 2770');
  });

  it('that is adopted is its account’s with all that is in it, and nothing outside', async () => {
    foreign('web01');
    expect(await prepare([preparation('web01', 'adopt')])).toEqual([]);
    expect(ownerOf('web01')).toBe('10000:10000 2770');
    expect(ownerOf('web01/data')).toBe('10000:10000 2770');
    expect(ownerOf('web01/data/0')).toBe('10000:10000 2770');
    expect(ownerOf('web01/config')).toBe('10000:10000 660');
    expect(ownerOf('web01/data/0/--reference=x')).toBe('10000:10000 660');
    expect(lstatSync(join(scratch.root, 'outside'))).toMatchObject({ uid: 0, gid: 0 });
    expect((lstatSync(join(scratch.root, 'outside')).mode & 0o777).toString(8)).toBe('600');
    expect(readFileSync(join(repos, 'web01/config'), 'utf8')).toBe('config');
  });

  it('that cannot be made is told, and the others are made', async () => {
    writeFileSync(join(repos, 'web01'), 'a file');
    const findings = await prepare([preparation('web01', 'create'), preparation('db', 'create', 10001)]);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ severity: 'error', code: 'repository-failed', file: '/repos/web01' });
    expect(ownerOf('db')).toBe('10001:10001 2770');
    expect(readFileSync(join(repos, 'web01'), 'utf8')).toBe('a file');
  });

  it('that is a link by now is not followed', async () => {
    mkdirSync(join(scratch.root, 'elsewhere'), { mode: 0o700 });
    for (const action of ['adopt', 'repair-mode', 'create'] as const) {
      symlinkSync(join(scratch.root, 'elsewhere'), join(repos, action));
      expect(await prepare([preparation(action, action)])).toHaveLength(1);
      const { uid, mode } = lstatSync(join(scratch.root, 'elsewhere'));
      expect([uid, (mode & 0o7777).toString(8)]).toEqual([0, '700']);
    }
  });

  it('whose preparation is interrupted waits for the next one, and is still seen as unfinished', async () => {
    foreign('web01');
    const controller = new AbortController();
    controller.abort();
    const findings = await prepare([preparation('web01', 'adopt'), preparation('db', 'create')], controller.signal);
    expect(findings.map(({ code }) => code)).toEqual(['adoption-interrupted', 'adoption-interrupted']);
    expect(scanRepositories(repos).map(({ name, uid }) => [name, uid])).toEqual([['web01', 1000]]);
  });
});

describe('what is under /repos', () => {
  it('is listed without following a link, and without dotfiles', () => {
    mkdirSync(join(repos, 'web01'));
    mkdirSync(join(repos, '.hidden'));
    symlinkSync('/etc', join(repos, 'link'));
    writeFileSync(join(repos, 'file'), '');
    expect(new Map(scanRepositories(repos).map(({ name, kind }) => [name, kind]))).toEqual(
      new Map([
        ['web01', 'folder'],
        ['link', 'other'],
        ['file', 'other'],
      ]),
    );
  });

  it('throws where it cannot be read: nothing may be decided', () => {
    expect(() => scanRepositories(join(repos, 'no-such-folder'))).toThrow('ENOENT');
  });
});
