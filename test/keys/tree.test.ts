import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Declaration } from '../../src/accounts/declaration.ts';
import { createTreeReader } from '../../src/keys/tree.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const { ed25519, rsa2048, ecdsa256 } = SAMPLE_KEYS;
let root: string;
let read: (given?: { environmentKeys?: string; now?: Date }, changed?: ReadonlySet<string>) => Declaration;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tree-'));
  for (const folder of ['repos', 'repos-appendonly', 'admins', 'host']) mkdirSync(join(root, folder));
  const reader = createTreeReader(root, '/sshkeys');
  const context = { systemNames: new Set(['backup']), environmentKeys: '', now: new Date('2026-01-01') };
  read = (given, changed) => reader({ ...context, ...given }, changed);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (path: string, text: string = ed25519): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${text}\n`);
};

const accounts = (declaration = read()) =>
  declaration.accounts.map(({ name, role, file, keys }) => `${name} ${role} ${file} ${keys.length}`).sort();
const findings = (declaration = read()) => declaration.findings.map(({ code, file }) => `${code} ${file}`).sort();

describe('the key tree', () => {
  test('declares an account for each file, by folder and name', () => {
    put('repos/web01', `${ed25519}\n${rsa2048}`);
    put('repos-appendonly/db.example.org');
    put('admins/alice.pub');
    expect(accounts()).toEqual([
      'alice admin /sshkeys/admins/alice.pub 1',
      'db.example.org append-only /sshkeys/repos-appendonly/db.example.org 1',
      'web01 repo /sshkeys/repos/web01 2',
    ]);
    expect(findings()).toEqual([]);
    expect(read().folders).toEqual({ repo: 'read', 'append-only': 'read', admin: 'read' });
  });

  test('ignores what editors and file systems leave', () => {
    const editors = [
      '.hidden',
      'web01~',
      'web01.swp',
      '.web01.swp',
      '#web01#',
      '4913',
      'web01___jb_tmp___',
      '~syncthing~web01.tmp',
      '~$web01',
    ];
    for (const name of [...editors, 'Thumbs.db', 'desktop.ini', '.DS_Store', 'Icon\r']) put(`repos/${name}`);
    const folders = [
      'lost+found',
      '@eaDir',
      '#recycle',
      '#snapshot',
      'System Volume Information',
      '.snapshot',
      '$RECYCLE.BIN',
    ];
    for (const name of folders)
      for (const where of ['', 'repos/', 'admins/', 'host/']) {
        mkdirSync(join(root, where, name));
        put(`${where}${name}/web01@SynoEAStream`);
      }
    expect([accounts(), findings()]).toEqual([[], []]);
  });

  test('declares a file without a valid key, with none', () => {
    put('repos/web01', '# later');
    expect(accounts()).toEqual(['web01 repo /sshkeys/repos/web01 0']);
    expect(findings()).toEqual(['no-valid-key /sshkeys/repos/web01']);
  });

  test('leaves NAME beside NAME.pub to the core', () => {
    put('repos/web01');
    put('repos/web01.pub', rsa2048);
    expect(accounts()).toEqual(['web01 repo /sshkeys/repos/web01 1', 'web01 repo /sshkeys/repos/web01.pub 1']);
  });

  test('refuses bad and reserved names, and shows them printable', () => {
    for (const name of ['a b', 'x:0:0', 'n\nroot', '1234', 'borg', 'borg-repo', 'backup.pub', 'e\u001b[31m'])
      put(`repos/${name}`);
    expect(accounts()).toEqual([]);
    expect(findings()).toEqual([
      'bad-name /sshkeys/repos/1234',
      'bad-name /sshkeys/repos/a b',
      'bad-name /sshkeys/repos/e\\u{1b}[31m',
      'bad-name /sshkeys/repos/n\\u{a}root',
      'bad-name /sshkeys/repos/x:0:0',
      'reserved-name /sshkeys/repos/backup.pub',
      'reserved-name /sshkeys/repos/borg',
      'reserved-name /sshkeys/repos/borg-repo',
    ]);
  });

  test('adds admins/borg and BORG_SSHKEYS to the single-user account', () => {
    put('admins/borg', rsa2048);
    const declaration = read({ environmentKeys: `${ed25519},` });
    expect(accounts(declaration)).toEqual(['borg admin /sshkeys/admins/borg 1', 'borg admin BORG_SSHKEYS 1']);
    expect(accounts(read({ environmentKeys: ' ,\n' }))).toEqual(['borg admin /sshkeys/admins/borg 1']);
  });

  test('warns of a mistyped folder', () => {
    put('repo/web01');
    put('README.md');
    put('.gitignore');
    expect(findings()).toEqual(['unexpected-entry /sshkeys/repo']);
  });

  test('warns of an expired key by the clock it is given, without reading the file again', () => {
    put('repos/web01', `expiry-time="20270101Z" ${ed25519}`);
    expect(findings()).toEqual([]);
    expect(findings(read({ now: new Date('2027-01-02') }))).toEqual(['expired-key /sshkeys/repos/web01']);
  });
});

describe('what is not a plain file', () => {
  test('is never opened: a folder, a FIFO, a device, a socket', async () => {
    mkdirSync(join(root, 'repos/folder'));
    execFileSync('mkfifo', [join(root, 'repos/fifo')]);
    execFileSync('mknod', [join(root, 'repos/device'), 'c', '1', '5']);
    const server = createServer().listen(join(root, 'repos/socket'));
    await expect.poll(() => server.listening).toBe(true);
    expect(accounts()).toEqual([]);
    expect(findings()).toEqual(
      ['device', 'fifo', 'folder', 'socket'].map((name) => `not-a-file /sshkeys/repos/${name}`),
    );
    server.close();
  });

  test('is too large above 1 MiB', () => {
    put('repos/web01');
    truncateSync(join(root, 'repos/web01'), 1024 * 1024 + 1);
    put('repos/web02', `${ed25519}\n#${'x'.repeat(900_000)}`);
    expect(findings()).toEqual(['file-too-large /sshkeys/repos/web01']);
    expect(accounts()).toEqual(['web02 repo /sshkeys/repos/web02 1']);
  });

  test('is followed as a link inside the tree only, and never to the host keys', () => {
    const outside = mkdtempSync(join(tmpdir(), 'outside-'));
    writeFileSync(join(outside, 'key'), ed25519);
    put('shared/key');
    put('host/ssh_host_ed25519_key.pub');
    symlinkSync('../shared/key', join(root, 'repos/inside'));
    symlinkSync(join(outside, 'key'), join(root, 'repos/outside'));
    symlinkSync('../host/ssh_host_ed25519_key.pub', join(root, 'repos/host'));
    symlinkSync('nowhere', join(root, 'repos/nowhere'));
    symlinkSync('circle', join(root, 'repos/circle'));
    expect(accounts()).toEqual(['inside repo /sshkeys/repos/inside 1']);
    expect(findings()).toEqual([
      ...['circle', 'host', 'nowhere', 'outside'].map((name) => `link-leaves-tree /sshkeys/repos/${name}`),
      'unexpected-entry /sshkeys/shared',
    ]);
    rmSync(outside, { recursive: true });
  });

  test('is a Kubernetes volume, which changes by a swap of ..data', () => {
    put('repos/..1/web01');
    put('repos/..2/web01', rsa2048);
    symlinkSync('..1', join(root, 'repos/..data'));
    symlinkSync('..data/web01', join(root, 'repos/web01'));
    expect(read().accounts).toMatchObject([{ name: 'web01', keys: [{ type: 'ssh-ed25519' }] }]);
    symlinkSync('..2', join(root, 'repos/..tmp'));
    renameSync(join(root, 'repos/..tmp'), join(root, 'repos/..data'));
    expect(read().accounts).toMatchObject([{ name: 'web01', keys: [{ type: 'ssh-rsa' }] }]);
  });
});

describe('what cannot be read', () => {
  const asNobody = <T>(work: () => T): T => {
    process.seteuid?.(65_534);
    try {
      return work();
    } finally {
      process.seteuid?.(0);
    }
  };

  test('keeps its account: a file is declared as unreadable', () => {
    put('repos/web01');
    put('repos/web02');
    execFileSync('chmod', ['0755', root]);
    execFileSync('chmod', ['0600', join(root, 'repos/web01')]);
    const declaration = asNobody(() => read());
    expect(declaration.accounts.map(({ name, unreadable, keys }) => [name, unreadable, keys.length])).toEqual([
      ['web01', true, 0],
      ['web02', false, 1],
    ]);
    expect(findings(declaration)).toEqual(['file-unreadable /sshkeys/repos/web01']);
  });

  test('freezes a role folder, and only that one', () => {
    put('repos/web01');
    put('admins/alice');
    execFileSync('chmod', ['0755', root]);
    execFileSync('chmod', ['0700', join(root, 'repos')]);
    rmSync(join(root, 'repos-appendonly'), { recursive: true });
    const declaration = asNobody(() => read());
    expect(declaration.folders).toEqual({ repo: 'unreadable', 'append-only': 'missing', admin: 'read' });
    expect(accounts(declaration)).toEqual(['alice admin /sshkeys/admins/alice 1']);
    expect(findings(declaration)).toEqual([
      'folder-missing /sshkeys/repos-appendonly',
      'folder-unreadable /sshkeys/repos',
    ]);
  });

  test('is a role folder that is a file, or a link out of the tree', () => {
    for (const folder of ['repos', 'admins']) rmSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, 'repos'), ed25519);
    symlinkSync(tmpdir(), join(root, 'admins'));
    expect(read().folders).toEqual({ repo: 'unreadable', 'append-only': 'read', admin: 'unreadable' });
    expect(findings()).toEqual(['folder-unreadable /sshkeys/repos', 'link-leaves-tree /sshkeys/admins']);
  });

  test('is the whole tree, and that throws nothing', () => {
    rmSync(root, { recursive: true });
    expect(read().folders).toEqual({ repo: 'missing', 'append-only': 'missing', admin: 'missing' });
  });
});

describe('a second reading', () => {
  test('sees every change, also of one size within one tick of the clock', () => {
    for (let turn = 0; turn < 200; turn += 1) {
      const [name, text] = turn % 2 === 0 ? ['even', ed25519] : ['uneven', ed25519.replace('IBpz', 'IBpy')];
      put('repos/web01', text);
      expect(`${name} ${read().accounts[0]?.keys[0]?.blob}`).toBe(`${name} ${text.split(' ')[1]}`);
    }
    put('repos/web01', rsa2048);
    appendFileSync(join(root, 'repos/web01'), ecdsa256);
    expect(accounts()).toEqual(['web01 repo /sshkeys/repos/web01 2']);
    rmSync(join(root, 'repos/web01'));
    expect(accounts()).toEqual([]);
  });

  test('of some accounts takes the others as they were read last, if their files are there', () => {
    for (const file of ['repos/web01', 'admins/web01.pub', 'repos/db', 'repos/gone']) put(file);
    const all = accounts();
    put('repos/db', `${ed25519}\n${rsa2048}`);
    put('repos/web01', `${ed25519}\n${rsa2048}`);
    put('repos/new');
    put('repos/bad name');
    rmSync(join(root, 'repos/gone'));
    expect(all).toContain('gone repo /sshkeys/repos/gone 1');
    const some = read({}, new Set(['web01']));
    expect(accounts(some)).toEqual([
      'db repo /sshkeys/repos/db 1',
      'new repo /sshkeys/repos/new 1',
      'web01 admin /sshkeys/admins/web01.pub 1',
      'web01 repo /sshkeys/repos/web01 2',
    ]);
    expect(findings(some)).toEqual(['bad-name /sshkeys/repos/bad name']);
    expect(findings(read({}, new Set()))).toEqual(['bad-name /sshkeys/repos/bad name']);
    expect(accounts()).toContain('db repo /sshkeys/repos/db 2');
  });

  test('of some accounts looks at all that lies in another folder of the same name', () => {
    put('repos/web01');
    read();
    renameSync(join(root, 'repos'), join(root, 'old'));
    put('repos/web01', `${ed25519}\n${rsa2048}`);
    expect(accounts(read({}, new Set(['db'])))).toEqual(['web01 repo /sshkeys/repos/web01 2']);
    rmSync(join(root, 'repos'), { recursive: true });
    expect(accounts(read({}, new Set(['db'])))).toEqual(['web01 repo /sshkeys/repos/web01 0']);
  });

  test('reads a file that just changed, but not again once it has come to rest, and tells versions apart', async () => {
    put('repos/web01');
    const version = read().accounts[0]?.version;
    const readTwice = () => [read(), read()].map(({ accounts: [account] }) => account?.keys);
    const [once, again] = readTwice();
    expect(once).not.toBe(again);
    await expect
      .poll(() => {
        const [first, second] = readTwice();
        return first === second;
      })
      .toBe(true);
    expect(read().accounts[0]?.version).toBe(version);
    put('repos/web01', rsa2048);
    expect(read().accounts).toMatchObject([{ keys: [{ type: 'ssh-rsa' }] }]);
    expect(read().accounts[0]?.version).not.toBe(version);
  });
});
