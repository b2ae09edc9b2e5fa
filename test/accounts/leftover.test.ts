import { describe, expect, it } from 'vitest';
import { type State, stateOf } from '../../src/accounts/account.ts';
import type { Declaration, DeclaredAccount } from '../../src/accounts/declaration.ts';
import { desire, stillDeclared } from '../../src/accounts/desired.ts';
import type { Finding } from '../../src/accounts/finding.ts';
import type { Registry } from '../../src/accounts/identity.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import type { RepositoryFolder } from '../../src/accounts/repository-folder.ts';
import type { Role } from '../../src/accounts/role.ts';
import { keyNumber, PUID, TAKEN, WIDE_RANGE } from './any.ts';

const FOLDER_OF = { repo: 'repos', 'append-only': 'repos-appendonly', admin: 'admins' } as const;
const READ = { repo: 'read', 'append-only': 'read', admin: 'read' } as const;

/** A key file, such as repos/web01.bak; each has a key of its own. */
const file = (path: string, more: Partial<DeclaredAccount> = {}): DeclaredAccount => {
  const [folder = '', entry = ''] = path.split('/');
  const role = (Object.keys(FOLDER_OF) as Role[]).find((each) => FOLDER_OF[each] === folder) ?? 'repo';
  const at = `/sshkeys/${path}`;
  const name = entry.replace(/\.pub$/, '') as AccountName;
  const key = { ...keyNumber(path.length), comment: '', options: {}, file: at, line: 1 };
  return { name, role, file: at, keys: [key], unreadable: false, version: '1', ...more };
};
const folder = (name: string, filled = false): RepositoryFolder => ({
  ...{ name, kind: 'folder', uid: 10_000 + name.length, gid: 10_000 + name.length, mode: 0o2770, filled },
});
const EMPTY: Registry = { highWater: 0, uids: {}, roles: [] };

type Given = {
  readonly files: readonly (string | DeclaredAccount)[];
  readonly folders?: readonly RepositoryFolder[];
  readonly registry?: Registry;
  readonly running?: State;
  readonly states?: Declaration['folders'];
  readonly findings?: readonly Finding[];
};
const decide = ({
  files,
  folders = [],
  registry = EMPTY,
  running = new Map(),
  states = READ,
  findings = [],
}: Given) => {
  const accounts = files.map((each) => (typeof each === 'string' ? file(each) : each));
  const desired = desire({
    ...{ declaration: { folders: states, accounts, findings }, folders, registry, running, puid: PUID },
    ...{ uidRange: WIDE_RANGE, takenIds: TAKEN, stopOn: 'conflicts' },
  });
  return {
    ...desired,
    open: [...desired.accounts.keys()],
    told: desired.findings.map(({ severity, code, file: at }) => `${severity} ${code} ${at.replace('/sshkeys/', '')}`),
  };
};

describe('a leftover beside NAME', () => {
  it.each([
    ...['web01.bak', 'web01.old', 'web01.dpkg-old', 'web01.disabled', 'web01.bak.pub', 'web01.pub.bak'],
    'web01.sync-conflict-20260101-120000-ABCDEFG.pub',
  ])('%s opens nothing, with a warning', (name) => {
    expect(decide({ files: ['repos/web01', `repos/${name}`] })).toMatchObject({
      open: ['web01'],
      told: [`warning leftover repos/${name}`],
    });
  });

  it('opens nothing in another role folder either, nor where NAME has no valid key or cannot be read', () => {
    expect(decide({ files: ['repos-appendonly/web01', 'repos/web01.bak'] }).open).toEqual(['web01']);
    expect(decide({ files: [file('repos/web01', { keys: [] }), 'repos/web01.bak'] }).open).toEqual([]);
    expect(decide({ files: [file('repos/web01', { keys: [], unreadable: true }), 'repos/web01.bak'] }).open).toEqual(
      [],
    );
  });

  it('that has a repository of its own is an error, whose cure has the names to move to', () => {
    const { open, findings } = decide({
      files: ['repos/web01', 'repos/web01.old.pub'],
      folders: [folder('web01', true), folder('web01.old', true)],
    });
    expect(open).toEqual(['web01']);
    expect(findings).toMatchObject([
      {
        ...{ severity: 'error', code: 'leftover' },
        message: expect.stringContaining('is CLOSED'),
        remedy: expect.stringContaining(
          'mv -T /repos/web01.old /repos/web01-old && mv /sshkeys/repos/web01.old.pub /sshkeys/repos/web01-old',
        ),
      },
    ]);
  });

  it('has no further finding, except that a private key is in it', () => {
    const finding = (code: Finding['code']): Finding => ({
      ...{ severity: 'error', code, file: '/sshkeys/repos/web01.bak', line: 1, message: 'x', remedy: 'x' },
    });
    const findings = [finding('malformed-key'), finding('name-slip'), finding('private-key')];
    expect(decide({ files: ['repos/web01', 'repos/web01.bak'], findings }).told).toEqual([
      'warning leftover repos/web01.bak',
      'error private-key repos/web01.bak',
    ]);
  });

  it('is no conflict, and stops nothing', () => {
    const given = decide({ files: ['repos/web01', 'repos/web01.bak', 'admins/web01.bak'] });
    expect(given).toMatchObject({ open: ['web01'], stopped: false });
  });

  it('loses what it had', () => {
    const running = stateOf([
      { name: 'web01.bak' as AccountName, role: 'repo', uid: 10_009, keys: file('repos/web01.bak').keys },
    ]);
    const files = ['repos/web01', 'repos/web01.bak'];
    expect(decide({ files, running }).open).toEqual(['web01']);
    const declaration = { folders: READ, accounts: files.map((each) => file(each)), findings: [] };
    expect([...stillDeclared(declaration, running).keys()]).toEqual([]);
  });
});

describe('a leftover without NAME', () => {
  it('never opens anything where no host has such a name, nor among the admins', () => {
    for (const path of [
      'repos/web01.disabled',
      'repos/web01.tmp',
      'repos-appendonly/web01.dpkg-dist',
      'admins/alice.old',
      'repos/1234.bak',
    ])
      expect(decide({ files: [path], folders: [folder('web01.disabled', true)] }).open, path).toEqual([]);
  });

  it('is an account where nothing is known of NAME: a host may be called backup.old', () => {
    expect(decide({ files: ['repos/backup.old'] })).toMatchObject({ open: ['backup.old'], told: [] });
    expect(decide({ files: ['repos/backup.old'], folders: [folder('backup.old', true)] }).open).toEqual(['backup.old']);
  });

  it('keeps its account if that has a repository of its own, whatever is left of NAME', () => {
    const folders = [folder('backup', true), folder('backup.old', true)];
    expect(decide({ files: ['repos/backup.old'], folders }).open).toEqual(['backup.old']);
  });

  it.each([
    ['its folder', { folders: [folder('web01'), folder('web01.bak')] }],
    ['its number', { registry: { ...EMPTY, uids: { web01: 10_001 } } }],
    ['its repository, which is lost', { registry: { ...EMPTY, repositories: { kept: [], lost: ['web01'] } } }],
    [
      'its account',
      {
        running: stateOf([{ name: 'web01' as AccountName, role: 'repo', uid: 10_001, keys: file('repos/web01').keys }]),
      },
    ],
  ] satisfies [string, Partial<Given>][])('opens nothing where NAME has left %s', (_what, given) => {
    expect(decide({ files: ['repos/web01.bak'], ...given })).toMatchObject({
      open: [],
      told: ['warning leftover repos/web01.bak'],
    });
  });

  it('stays closed after NAME and all that it left are gone, until it is gone itself', () => {
    const { registry } = decide({ files: ['repos/web01', 'repos/web01.bak'], folders: [folder('web01.bak', true)] });
    expect(registry.leftovers).toEqual(['web01.bak']);
    const alone = decide({
      files: ['repos/web01.bak'],
      folders: [folder('web01.bak', true)],
      registry: { ...registry, uids: {} },
    });
    expect(alone.open).toEqual([]);
    expect(alone.findings[0]?.remedy).toContain('if web01 is meant: mv /sshkeys/repos/web01.bak /sshkeys/repos/web01');
    const unread = decide({ files: [], registry: alone.registry, states: { ...READ, repo: 'unreadable' } });
    expect(unread.registry.leftovers).toEqual(['web01.bak']);
    const gone = decide({ files: [], registry: unread.registry });
    expect(gone.registry).not.toHaveProperty('leftovers');
    expect(decide({ files: ['repos/web01.bak'], registry: gone.registry }).open).toEqual(['web01.bak']);
  });

  it('of a leftover is held to each of them', () => {
    expect(decide({ files: ['repos/web01.old', 'repos/web01.old.bak'] }).open).toEqual(['web01.old']);
    expect(decide({ files: ['repos/web01', 'repos/web01.old.bak'] }).open).toEqual(['web01']);
  });
});
