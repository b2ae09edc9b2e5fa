import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Preparation } from '../../src/accounts/desired.ts';
import { prepareRepository } from '../../src/repositories/ownership.ts';

const [UID, PUID] = [10_007, 1000];
let root: string;

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);
const ownerOf = (path: string): string => `${lstatSync(path).uid}:${lstatSync(path).gid}`;
const prepare = (action: Preparation['action']): Promise<void> =>
  prepareRepository(join(root, 'repos'), { name: 'web01', uid: UID, action }, () => {}, new AbortController().signal);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ownership-'));
  mkdirSync(join(root, 'repos/web01/data'), { recursive: true });
  writeFileSync(join(root, 'repos/web01/data/0'), '');
  for (const path of ['repos/web01', 'repos/web01/data', 'repos/web01/data/0']) chownSync(join(root, path), PUID, PUID);
  mkdirSync(join(root, 'secret'));
  writeFileSync(join(root, 'secret/key'), '');
  chmodSync(join(root, 'secret'), 0o755);
  chmodSync(join(root, 'secret/key'), 0o644);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

/** As a repository and a snapshot share it (image/snapshots/keep.py). */
const share = (gid: number): string => {
  const path = join(root, 'repos/web01/data/0');
  linkSync(path, join(root, 'kept'));
  chownSync(path, 0, gid);
  chmodSync(path, 0o440);
  return path;
};

test.for(['repair-mode', 'repair-owners', 'adopt'] as const)(
  'what snapshots share stays root’s and read-only whatever is repaired or handed over (%s); the new group may read it',
  async (action) => {
    if (action !== 'adopt') for (const path of ['', 'data']) chownSync(join(root, 'repos/web01', path), UID, UID);
    const path = share(action === 'adopt' ? PUID : UID);
    await prepare(action);
    expect([ownerOf(path), modeOf(path)]).toEqual([`0:${UID}`, '440']);
    // Its account has removed its own name, or the last snapshot has gone: nobody can tell.
    rmSync(join(root, 'kept'));
    await prepare(action);
    expect([ownerOf(path), modeOf(path)]).toEqual([`0:${UID}`, '440']);
  },
);

test('a name in an adopted folder becomes that of a file which snapshots share, again and again: it stays root’s', async () => {
  const data = join(root, 'repos/web01/data');
  for (let number = 0; number < 200; number += 1) symlinkSync('/nowhere', join(data, `link${number}`));
  const kept = share(UID);
  const script = `
    const { linkSync, renameSync, symlinkSync } = require('node:fs');
    const data = process.argv[1];
    process.stdout.write('swapping');
    for (let n = 0; ; n = (n + 1) % 200) {
      const path = data + '/link' + n;
      linkSync(data + '/0', data + '/next'); renameSync(data + '/next', path);
      symlinkSync('/nowhere', data + '/next'); renameSync(data + '/next', path);
    }`;
  const swapping = spawn(process.execPath, ['-e', script, data], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(swapping, 'exit');
  try {
    if (swapping.stdout) await once(swapping.stdout, 'data');
    for (let round = 0; round < 15; round += 1) await prepare('adopt');
  } finally {
    swapping.kill('SIGKILL');
    await ended;
  }
  expect([ownerOf(kept), modeOf(kept)]).toEqual([`0:${UID}`, '440']);
});

test('what snapshots of another account share keeps its group', async () => {
  const path = share(30_009);
  await prepare('adopt');
  expect([ownerOf(path), modeOf(path)]).toEqual(['0:30009', '440']);
});

test('names that are not UTF-8 are handed over, too', async () => {
  const name = Buffer.from(`${join(root, 'repos/web01/data')}/b\xfcro`, 'latin1');
  mkdirSync(name);
  await prepare('adopt');
  expect(lstatSync(name)).toMatchObject({ uid: UID, gid: UID });
});

test('an adoption that is interrupted leaves the folder to nobody, and the next one goes on', async () => {
  const stopped = AbortSignal.abort();
  const handing = { name: 'web01', uid: UID, action: 'adopt' } as const;
  await expect(prepareRepository(join(root, 'repos'), handing, () => {}, stopped)).rejects.toThrow();
  expect([ownerOf(join(root, 'repos/web01')), modeOf(join(root, 'repos/web01'))]).toEqual([`0:${PUID}`, '700']);
  await prepare('adopt');
  expect(ownerOf(join(root, 'repos/web01/data/0'))).toBe(`${UID}:${UID}`);
});

test('what cannot be handed over is named', async () => {
  await execa('chattr', ['+i', join(root, 'repos/web01/data/0')]);
  try {
    await expect(prepare('adopt')).rejects.toMatchObject({ cause: { code: 'unchangeable', path: 'data/0' } });
  } finally {
    await execa('chattr', ['-i', join(root, 'repos/web01/data/0')]);
  }
});

test('an adoption reaches links, and files with a second name', async () => {
  const link = join(root, 'repos/web01/link');
  symlinkSync('/nowhere', link);
  linkSync(join(root, 'repos/web01/data/0'), join(root, 'repos/web01/data/second'));
  await prepare('adopt');
  for (const path of [link, join(root, 'repos/web01/data/second')]) expect(ownerOf(path)).toBe(`${UID}:${UID}`);
});

test('a folder that belongs to somebody else becomes its account’s, with all that is in it', async () => {
  symlinkSync(join(root, 'secret'), join(root, 'repos/web01/link'));
  await prepare('adopt');
  const of = (path: string) => [ownerOf(join(root, path)), modeOf(join(root, path))];
  const own = `${UID}:${UID}`;
  expect(of('repos/web01')).toEqual([own, '2770']);
  expect(of('repos/web01/data')).toEqual([own, '2770']);
  expect(of('repos/web01/data/0')).toEqual([own, '660']);
  expect(of('secret')).toEqual(['0:0', '755']);
  expect(of('secret/key')).toEqual(['0:0', '644']);
});

test('a new folder is made', async () => {
  rmSync(join(root, 'repos/web01'), { recursive: true });
  await prepare('create');
  expect([ownerOf(join(root, 'repos/web01')), modeOf(join(root, 'repos/web01'))]).toEqual([`${UID}:${UID}`, '2770']);
});

test('everything in the folder gets the modes that the account and the admins need, and lets nobody else in', async () => {
  const modes = { 'data/plain': 0o400, 'data/program': 0o4755, 'data/open': 0o666, 'data/right': 0o660 };
  for (const [path, mode] of Object.entries(modes)) {
    writeFileSync(join(root, 'repos/web01', path), '');
    chmodSync(join(root, 'repos/web01', path), mode);
  }
  mkdirSync(join(root, 'repos/web01/data/deep/deeper'), { recursive: true });
  chmodSync(join(root, 'repos/web01/data/deep'), 0o500);
  await prepare('repair-mode');
  const found = ['plain', 'program', 'open', 'right', 'deep', 'deep/deeper'].map((path) =>
    modeOf(join(root, 'repos/web01/data', path)),
  );
  expect(found).toEqual(['660', '770', '660', '660', '2770', '2770']);
});

test('a folder that is nested without end is refused before there are no descriptors left', async () => {
  const deep = `repos/web01/${'d/'.repeat(120)}`;
  mkdirSync(join(root, deep), { recursive: true });
  await expect(prepare('repair-mode')).rejects.toMatchObject({ cause: { code: 'too-deep' } });
  expect(modeOf(join(root, 'repos/web01'))).toBe('700');
});

test.each(['adopt', 'repair-mode'] as const)(
  'files and folders in it become links again and again during %s: nothing changes where they lead',
  async (action) => {
    for (let number = 0; number < 100; number += 1) {
      writeFileSync(join(root, `repos/web01/data/file${number}`), '');
      mkdirSync(join(root, `repos/web01/data/folder${number}/key`), { recursive: true });
    }
    const script = `
      const { renameSync, symlinkSync } = require('node:fs');
      const [data, secret] = process.argv.slice(1);
      const links = { file: secret + '/key', folder: secret };
      const each = (act) => { for (let n = 0; n < 100; n++) for (const kind of ['file', 'folder']) act(data + '/' + kind + n, kind); };
      each((path, kind) => symlinkSync(links[kind], path + '.link'));
      const swap = (path) => { renameSync(path, path + '.aside'); renameSync(path + '.link', path); };
      const back = (path) => { renameSync(path, path + '.link'); renameSync(path + '.aside', path); };
      process.stdout.write('swapping');
      for (;;) { each(swap); each(back); }`;
    const swapping = spawn(process.execPath, ['-e', script, join(root, 'repos/web01/data'), join(root, 'secret')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(swapping, 'exit');
    try {
      if (swapping.stdout) await once(swapping.stdout, 'data');
      for (let round = 0; round < 15; round += 1) {
        for (const path of readdirSync(join(root, 'repos/web01/data')))
          if (path.startsWith('file')) makeWrong(join(root, 'repos/web01/data', path));
        await prepare(action).catch(() => {});
      }
    } finally {
      swapping.kill('SIGKILL');
      await ended;
    }
    for (const [path, mode] of Object.entries({ secret: '755', 'secret/key': '644' }))
      expect([path, ownerOf(join(root, path)), modeOf(join(root, path))]).toEqual([path, '0:0', mode]);
  },
);

/** Makes a file that has to be repaired, unless its name leads to something else by now. */
const makeWrong = (path: string): void => {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    fchmodSync(file, 0o604);
    closeSync(file);
  } catch {
    // It is a link just now, or between two names.
  }
};

test('the owner exchanges the folder for a link while it is handed over: nothing changes where the link leads', async () => {
  mkdirSync(join(root, 'bin'));
  // The owner could do this at any moment. Here it happens at the worst moment: between the change of owners and that of modes, while Python removes ACLs.
  writeFileSync(
    join(root, 'bin/python3'),
    `#!/bin/sh\n/usr/bin/python3 "$@"\nmv '${root}/repos/web01' '${root}/repos/aside'\nln -s '${root}/secret' '${root}/repos/web01'\n`,
    { mode: 0o755 },
  );
  vi.stubEnv('PATH', `${join(root, 'bin')}:${process.env.PATH}`);
  await prepare('adopt').catch(() => {});
  expect(existsSync(join(root, 'repos/aside'))).toBe(true);
  expect([modeOf(join(root, 'secret')), modeOf(join(root, 'secret/key'))]).toEqual(['755', '644']);
});
