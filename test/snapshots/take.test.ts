import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { PROJECT, until } from '../e2e/harness/machine.ts';

/** The account's, as in the server: its group has the same number. */
const UID = 30_101;
const ADMINS = 30_001;
const HOST_ID = 'a-server@1';
const PROGRAM = join(PROJECT, 'image/snapshot');
const { python } = findBorg();

let root: string;
let files: string;
let repository: string;
let count = 0;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'snapshots-'));
  chmodSync(root, 0o755);
  files = join(root, 'files');
  mkdirSync(files);
  for (const name of ['base', 'kept']) mkdirSync(join(root, name), { mode: 0o700 });
  chownSync(join(root, 'base'), UID, UID);
  for (const name of ['one', 'two', 'three']) writeFileSync(join(files, name), randomBytes(200_000), { mode: 0o644 });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeEach(() => {
  count += 1;
  repository = join(root, `web${count}`);
  mkdirSync(repository);
  chownSync(repository, UID, UID);
  chmodSync(repository, 0o2770);
});

const environment = (base: string) => ({
  ...{ LOGNAME: 'web', BORG_BASE_DIR: base, BORG_HOST_ID: HOST_ID, BORG_SELFTEST: 'disabled' },
  ...{ BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
  BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: 'YES',
});

/** borg as the account. */
const borg = (...words: string[]) =>
  execa('borg', ['--umask', '0007', ...words], {
    ...{ uid: UID, gid: UID, cwd: files, env: environment(join(root, 'base')), stdin: 'pipe' },
  });

/** A repository with an archive of each file, so that it has several segments. */
const fill = async (...names: string[]): Promise<void> => {
  if (!existsSync(join(repository, 'config'))) await borg('init', '--encryption', 'none', repository);
  for (const name of names) await borg('create', `${repository}::${name}`, name);
};

type Told = {
  readonly transaction: number | null;
  readonly segments: number;
  readonly bytes: number;
  readonly locked: boolean;
  readonly tries: number;
  readonly protected: boolean;
};
type Failed = { readonly failed: string; readonly name?: string; readonly names?: readonly string[] };

const folder = (): string => mkdtempSync(join(root, 'kept/'));
const take = async (into: string, path = basename(repository)): Promise<Told | Failed> => {
  const { stdout } = await execa(python, [
    '-I',
    PROGRAM,
    'take',
    root,
    path,
    into,
    HOST_ID,
    `${UID}`,
    `${UID}`,
    `${ADMINS}`,
  ]);
  return JSON.parse(stdout);
};
const taken = async (into = folder()): Promise<Told & { readonly into: string }> => {
  const told = await take(into);
  if ('failed' in told) throw new Error(`no snapshot: ${JSON.stringify(told)}`);
  return { ...told, into };
};

const segmentsOf = (path: string): string[] =>
  readdirSync(join(path, 'data'), { recursive: true, encoding: 'utf8' }).filter((name) => /^\d+\/\d+$/.test(name));

/** What borg finds in a copy of a snapshot, after it has checked every byte: the archives, and what is in them. */
const archivesOf = async (snapshot: string): Promise<string[]> => {
  const [copy, base] = [mkdtempSync(join(root, 'copy-')), mkdtempSync(join(root, 'base-'))];
  cpSync(snapshot, copy, { recursive: true });
  const run = async (...words: string[]) => (await execa('borg', words, { cwd: copy, env: environment(base) })).stdout;
  await run('check', '--verify-data', copy);
  const archives = (await run('list', '--short', copy)).split('\n').filter((name) => name !== '');
  for (const name of archives) {
    const found = execFileSync('borg', ['extract', '--stdout', `${copy}::${name}`], {
      env: { ...process.env, ...environment(base) },
    });
    if (existsSync(join(files, name))) expect(found.equals(readFileSync(join(files, name))), name).toBe(true);
  }
  for (const each of [copy, base]) rmSync(each, { recursive: true });
  return archives;
};

/** A script as the account, which may do with its files what it likes. */
const asAccount = (script: string, ...words: string[]) =>
  execa('python3', ['-I', '-c', script, ...words], { uid: UID, gid: UID, reject: false });

describe('a snapshot', () => {
  test('is the whole repository, whatever its owner does to it afterwards', async () => {
    await fill('one', 'two');
    const { into, locked, tries, segments, ...told } = await taken();
    expect({ locked, tries }).toEqual({ locked: true, tries: 1 });
    expect(told.protected).toBe(true);
    expect(segments).toBe(segmentsOf(repository).length);
    expect(existsSync(join(repository, `index.${told.transaction}`))).toBe(true);

    await borg('delete', repository, 'one', 'two');
    await borg('compact', '--threshold', '0', repository);
    await fill('three');
    expect(await archivesOf(into)).toEqual(['one', 'two']);
    expect(await archivesOf((await taken()).into)).toEqual(['three']);
  });

  test('takes no room of its own for segments', async () => {
    await fill('one', 'two');
    const { into } = await taken();
    for (const segment of segmentsOf(into))
      expect(statSync(join(into, 'data', segment)).ino).toBe(statSync(join(repository, 'data', segment)).ino);
    // What borg changes where it is.
    expect(statSync(join(into, 'config')).ino).not.toBe(statSync(join(repository, 'config')).ino);
  });

  test('cannot be changed through the names that its owner has of the same files', async () => {
    await fill('one');
    const { into } = await taken();
    const before = segmentsOf(into).map((segment) => readFileSync(join(into, 'data', segment)));
    const { stdout } = await asAccount(
      `import os, sys
tries = {
    'write': lambda path: open(path, 'r+b').write(b'changed'),
    'truncate': lambda path: os.truncate(path, 0),
    'mode': lambda path: os.chmod(path, 0o660),
    'owner': lambda path: os.chown(path, os.getuid(), -1),
    'times': lambda path: os.utime(path, (1, 1)),
    'a name of its own': lambda path: open(path, 'rb').close() or os.link(path, path + '.mine') or open(path + '.mine', 'r+b'),
}
for what, do in tries.items():
    for path in sys.argv[1:]:
        try:
            do(path)
            print(what, 'allowed')
        except PermissionError:
            pass
for path in sys.argv[1:]: os.unlink(path)
print('removed')`,
      ...segmentsOf(repository).map((segment) => join(repository, 'data', segment)),
    );
    expect(stdout).toBe('removed');
    expect(segmentsOf(repository)).toEqual([]);
    expect(segmentsOf(into).map((segment) => readFileSync(join(into, 'data', segment)))).toEqual(before);
  });

  test('leaves the repository as usable as it was: borg repairs, prunes, compacts and goes on', async () => {
    await fill('one', 'two');
    await taken();
    await fill('three');
    const { into } = await taken();
    await borg('check', '--repair', '--repository-only', repository);
    await borg('prune', '--keep-last', '1', repository);
    await borg('compact', '--threshold', '0', repository);
    await borg('check', '--verify-data', repository);
    expect((await borg('list', '--short', repository)).stdout).toBe('three');
    expect(await archivesOf(into)).toEqual(['one', 'two', 'three']);
  });

  test('waits for nobody: where a session has the lock, it is taken without', async () => {
    await fill('one');
    const holder = borg('with-lock', repository, 'sh', '-c', 'echo held; read until');
    await until('the lock', () => existsSync(join(repository, 'lock.exclusive')));
    const { into, locked } = await taken();
    expect(locked).toBe(false);
    expect(existsSync(join(repository, 'lock.exclusive'))).toBe(true);
    holder.kill();
    await holder.catch(() => {});
    expect(await archivesOf(into)).toEqual(['one']);
  });

  test('is whole whenever it is taken, while borg adds, deletes and compacts', async () => {
    await fill('one');
    let over = false;
    const work = (async () => {
      for (let times = 0; times < 3; times += 1) {
        await fill('two', 'three');
        await borg('delete', repository, 'two', 'three');
        await borg('compact', '--threshold', '0', repository);
      }
      over = true;
    })();
    const all: string[] = [];
    while (!over) {
      const into = folder();
      const told = await take(into);
      if (!('failed' in told)) all.push(into);
      else expect(told.failed).toBe('changes');
    }
    await work;
    expect(all.length).toBeGreaterThan(4);
    // Borg takes a second to check one. So some of them are checked, from the first to the last.
    const step = Math.ceil(all.length / 6);
    for (const each of all.filter((_, place) => place % step === 0)) expect(await archivesOf(each)).toContain('one');
  });

  test('leaves no lock, and none that keeps anybody out if it is killed', async () => {
    await fill('one');
    await taken();
    expect(readdirSync(repository).filter((name) => name.startsWith('lock'))).toEqual([]);

    const child = spawn(python, ['-I', '-c', HOLD, join(PROJECT, 'image'), repository, folder(), HOST_ID], {
      stdio: 'pipe',
    });
    await once(child.stdout, 'data');
    expect(existsSync(join(repository, 'lock.exclusive'))).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // borg finds by itself that its process is gone.
    await fill('two');
  });

  test.for(['segment', 'index'] as const)(
    'is none where somebody, and no borg, holds a committed %s open for writing',
    async (what) => {
      await fill('one', 'two');
      const [segment = ''] = segmentsOf(repository);
      const index = readdirSync(repository).find((name) => name.startsWith('index.')) ?? '';
      const path = join(repository, what === 'index' ? index : `data/${segment}`);
      const child = spawn('python3', ['-c', `f = open('${path}', 'r+b'); print('open', flush=True); input()`], {
        ...{ uid: UID, gid: UID, stdio: 'pipe' },
      });
      await once(child.stdout, 'data');
      const into = folder();
      const told = await take(into);
      child.stdin.end();
      await once(child, 'exit');
      if (what === 'segment') {
        expect(told).toEqual({ failed: 'writable', names: [segment], count: 1 });
        expect(readdirSync(into)).toEqual([]);
      } else {
        // borg makes it anew.
        expect(readdirSync(into)).not.toContain(index);
        expect(await archivesOf(into)).toEqual(['one', 'two']);
      }
      expect((await taken()).protected).toBe(true);
    },
  );

  test('has nothing of an unfinished backup, and is not refused for it', async () => {
    await fill('one');
    const lock = borg('with-lock', repository, 'sh', '-c', 'echo held; read until');
    await until('the lock', () => existsSync(join(repository, 'lock.exclusive')));
    const child = spawn(
      'python3',
      ['-c', `f = open('${repository}/data/0/900', 'wb'); print('open', flush=True); input()`],
      {
        ...{ uid: UID, gid: UID, stdio: 'pipe' },
      },
    );
    await once(child.stdout, 'data');
    const { into } = await taken();
    child.stdin.end();
    await once(child, 'exit');
    lock.kill();
    await lock.catch(() => {});
    expect(segmentsOf(into)).not.toContain('0/900');
    expect(await archivesOf(into)).toEqual(['one']);
  });

  test.for([
    ['root’s', 0, 0o600],
    ['root’s, and the group may read it', 0, 0o640],
    ['another account’s', 30_999, 0o660],
  ] as const)('makes nothing its own that is not the account’s: a segment is %s', async ([, uid, mode]) => {
    await fill('one');
    const path = join(repository, 'data/0/7');
    writeFileSync(path, 'somebody else’s');
    chownSync(path, uid, UID);
    chmodSync(path, mode);
    expect(await take(folder())).toEqual({ failed: 'odd-entry', name: '7' });
    expect(lstatSync(path)).toMatchObject({ uid, nlink: 1 });
    expect(lstatSync(path).mode & 0o7777).toBe(mode);
  });

  test('of a nested repository: its path leads through no link, and to nobody else', async () => {
    await fill('one');
    const [other, above] = [basename(repository), `all${count}`];
    mkdirSync(join(root, above));
    chownSync(join(root, above), UID, UID);
    symlinkSync(join(root, other), join(root, above, 'linked'));
    symlinkSync(root, join(root, above, 'up'));
    cpSync(repository, join(root, above, 'nested'), { recursive: true });
    cpSync(repository, join(root, above, 'another’s'), { recursive: true });
    for (const [name, owner] of [
      ['nested', UID],
      ['another’s', 30_999],
    ] as const)
      execFileSync('chown', ['-R', `${owner}:${owner}`, join(root, above, name)]);
    const told = async (path: string) => {
      const found = await take(folder(), path);
      return 'failed' in found ? found.failed : 'taken';
    };
    expect(await told(`${above}/nested`)).toBe('taken');
    for (const path of ['linked', `up/${other}`, '../x', 'nested/data', '', 'nested/../nested'])
      expect(await told(`${above}/${path}`), path).toBe('no-repository');
    expect(await told(`${above}/another’s`)).toBe('not-its-own');
    expect(statSync(join(repository, 'data', segmentsOf(repository)[0] ?? '')).uid).toBe(UID);
  });

  test('is refused where there is no repository yet', async () => {
    expect(await take(folder())).toEqual({ failed: 'no-repository' });
    expect(readdirSync(repository)).toEqual([]);
  });

  test('is taken without the lock where the account has put something else in its place', async () => {
    await fill('one');
    writeFileSync(join(repository, 'lock.exclusive'), '');
    expect(await taken()).toMatchObject({ locked: false });
    expect(readFileSync(join(repository, 'lock.exclusive'), 'utf8')).toBe('');
  });

  test.for([
    ['config', 'a link'],
    ['config', 'a pipe'],
    ['data', 'a link'],
    ['data/0', 'a link'],
    ['data/0/7', 'a link'],
    ['data/0/7', 'a pipe'],
    ['data/0/7', 'a folder'],
  ] as const)('follows and opens nothing but plain files and folders: %s is %s', async ([name, what]) => {
    await fill('one');
    const outside = join(root, `outside-${count}`);
    if (name.startsWith('data') && !name.endsWith('7')) {
      mkdirSync(join(outside, '0'), { recursive: true });
      writeFileSync(join(outside, '0/1'), 'somebody else’s');
    } else writeFileSync(outside, 'somebody else’s', { mode: 0o600 });
    const path = join(repository, name);
    rmSync(path, { recursive: true, force: true });
    if (what === 'a link') symlinkSync(outside, path);
    else if (what === 'a pipe') execFileSync('mkfifo', [path]);
    else mkdirSync(path);
    expect(await take(folder())).toEqual({ failed: 'odd-entry', name: name.split('/').at(-1) });
    expect(lstatSync(outside).uid).toBe(0);
    expect(lstatSync(outside).nlink).toBe(lstatSync(outside).isDirectory() ? 3 : 1);
  });

  test('has nothing but what borg would read', async () => {
    await fill('one');
    for (const name of ['data/0/7.tmp', 'data/0/07', 'data/x', 'more', 'index.7.tmp'])
      writeFileSync(join(repository, name), 'something');
    linkSync(join(repository, 'more'), join(repository, 'data/0/more'));
    const { into } = await taken();
    expect(
      readdirSync(into).filter((name) => !/^(config|README|nonce|data|(index|hints|integrity)\.\d+)$/.test(name)),
    ).toEqual([]);
    expect(segmentsOf(into)).toEqual(segmentsOf(repository).filter((name) => name !== '0/07'));
    expect(lstatSync(join(repository, 'more')).uid).toBe(0);
  });

  test('begins again where a segment goes between two looks: what it held may be in a folder that was not there yet', async () => {
    await fill('one', 'two');
    const into = folder();
    const [segment = ''] = segmentsOf(repository);
    const script = MOVING.replace('MOVED', segment);
    const { stdout } = await execa(python, [
      '-I',
      '-c',
      script,
      join(PROJECT, 'image'),
      root,
      basename(repository),
      into,
    ]);
    expect(stdout).toBe('2 tries');
    expect(segmentsOf(into).sort()).toEqual(segmentsOf(repository).sort());
  });

  test('does not count as protected where the file system cannot tell who writes', async () => {
    await fill('one');
    const { stdout } = await execa(python, [
      '-I',
      '-c',
      NO_LEASES,
      join(PROJECT, 'image'),
      root,
      basename(repository),
      folder(),
    ]);
    expect(stdout).toBe('False');
  });

  test('is given up where the account has made too many names, and nothing of it is left', async () => {
    await fill('one');
    execFileSync('python3', ['-c', `for n in range(2000): open(f'${repository}/data/0/x{n}', 'w').close()`]);
    const into = folder();
    const { stdout } = await execa(python, ['-I', '-c', FEW, join(PROJECT, 'image'), root, basename(repository), into]);
    expect(stdout).toBe('too-much');
    expect(readdirSync(into)).toEqual([]);
    expect((await taken()).segments).toBeGreaterThan(0);
  });
});

/** Takes the lock as a snapshot does, and stays. */
const HOLD = `
import os, sys
sys.path.append(sys.argv[1])
from snapshots.keep import Owner
from snapshots.lock import Lock
owner = Owner(${UID}, ${UID}, ${ADMINS})
lock = Lock(os.open(sys.argv[2], os.O_RDONLY), os.open(sys.argv[3], os.O_RDONLY), sys.argv[4], owner)
print(lock.held, flush=True)
input()
`;

/** A snapshot with a compaction between its first two looks: it moves what a segment holds into a new folder. */
const MOVING = `
import os, sys
sys.path.append(sys.argv[1])
from snapshots import take
from snapshots.keep import Owner
looks = take.Taking.folders
def and_then(self, data):
    found = looks(self, data)
    take.Taking.folders = looks
    path = '/'.join(sys.argv[2:4]) + '/data/'
    os.mkdir(path + '1')
    os.chown(path + '1', ${UID}, ${UID})
    os.rename(path + 'MOVED', path + '1/1000')
    return found
take.Taking.folders = and_then
print(take.take(*sys.argv[2:5], 'a-server@1', Owner(${UID}, ${UID}, ${ADMINS}))['tries'], 'tries')
`;

/** A snapshot on a file system whose leases say nothing. */
const NO_LEASES = `
import sys
sys.path.append(sys.argv[1])
from snapshots import keep, take
from snapshots.keep import Owner
keep.lease = lambda file: keep.WRITTEN_TO
print(take.take(*sys.argv[2:5], 'a-server@1', Owner(${UID}, ${UID}, ${ADMINS}))['protected'])
`;

/** A snapshot that looks at a thousand names. */
const FEW = `
import sys
sys.path.append(sys.argv[1])
from snapshots import take
from snapshots.keep import Owner
take.MOST_NAMES = 1000
try:
    take.take(*sys.argv[2:5], 'a-server@1', Owner(${UID}, ${UID}, ${ADMINS}))
except take.Failed as failed:
    print(failed.code)
`;
