import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';

// Each guard of the launcher is tried alone, before the installed borg. The order of the guards is tested, too.

const LAUNCHER = join(import.meta.dirname, '../../image/launcher');

type Kind = 'tenant' | 'several' | 'admin' | 'own' | 'maintenance' | 'asking';
interface Tried {
  readonly cases: Readonly<Record<string, { readonly with: string; readonly without: string }>>;
  readonly untried: readonly string[];
  readonly orders: Readonly<Record<Kind, { repository: string[]; server: string[]; calls: string[] }>>;
  readonly known: readonly string[];
  readonly unknown: readonly string[];
}

let folder: string;
let tried: Tried;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'guards-'));
  // One of the cases gives up being root.
  chmodSync(folder, 0o755);
  const said = execFileSync(findBorg().python, ['-I', join(import.meta.dirname, 'guards.py'), folder], {
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    encoding: 'utf8',
  });
  tried = JSON.parse(said) as Tried;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('each guard holds alone, and nothing else holds in its place', () => {
  expect(tried.untried).toEqual([]);
  expect(Object.keys(tried.cases).length).toBeGreaterThanOrEqual(24);
  expect(tried.cases).toEqual(
    Object.fromEntries(Object.keys(tried.cases).map((name) => [name, { with: 'held', without: 'let through' }])),
  );
});

describe('the order of the guards', () => {
  /**
   * The order, the outermost first. CountedRepositories is only there for an account with several repositories, and KeptStateRepository and LookedAtRepository
   * only for an admin.
   */
  const TENANT = [
    'TenantRepository',
    'HeardRepository',
    'ReadOnlyRepository',
    'CountedRepositories',
    'MemoryRepository',
    'SlowedRepository',
    'FloorRepository',
    'FreeSpaceRepository',
    'NamedRepository',
    'NonceRepository',
    'PlainKeyRepository',
    'BoxedRepository',
    'KeptStateRepository',
    'LookedAtRepository',
    'KeptConfigRepository',
    'QuotaRepository',
    'WholeCloseRepository',
    'LockedRepository',
    'KeptFolderRepository',
    'Repository',
    'object',
  ];
  const SERVER = [
    'TenantServer',
    'HeardServer',
    'MemoryServer',
    'OwnUrlServer',
    'HiddenAccountsServer',
    'OneRepositoryServer',
    'AppendOnlyServer',
    'RepositoryServer',
    'object',
  ];
  const without = (names: readonly string[], ...out: string[]) => names.filter((name) => !out.includes(name));
  const ONLY_SESSIONS = ['HeardRepository', 'CountedRepositories', 'MemoryRepository', 'SlowedRepository'];
  const ONLY_SERVED = [
    ...[
      'FloorRepository',
      'NamedRepository',
      'BoxedRepository',
      'KeptStateRepository',
      'LookedAtRepository',
      'KeptConfigRepository',
    ],
  ];
  const ONLY_ADMINS = ['KeptStateRepository', 'LookedAtRepository'];
  const OWN = without(TENANT, ...ONLY_SESSIONS, ...ONLY_SERVED);

  test('for an account with a repository, and with several', () => {
    expect(tried.orders.tenant.repository).toEqual(without(TENANT, 'CountedRepositories', ...ONLY_ADMINS));
    expect(tried.orders.several.repository).toEqual(without(TENANT, ...ONLY_ADMINS));
    expect(tried.orders.tenant.server).toEqual(SERVER);
    expect(tried.orders.several.server).toEqual(SERVER);
  });

  test('for an admin, whom neither the number of repositories nor the floor limits', () => {
    expect(tried.orders.admin.repository).toEqual(without(TENANT, 'CountedRepositories', 'FloorRepository'));
    expect(tried.orders.admin.server).toEqual(SERVER);
  });

  test('for a borg of the server’s own, and for its maintenance, which has no quota', () => {
    expect(tried.orders.own.repository).toEqual(OWN);
    expect(tried.orders.maintenance.repository).toEqual([...OWN.slice(0, -2), 'UnboundedRepository', ...OWN.slice(-2)]);
    expect(tried.orders.asking.repository).toEqual(
      TENANT.filter((name) => OWN.includes(name) || name === 'LookedAtRepository'),
    );
    for (const kind of ['own', 'maintenance', 'asking'] as const) {
      expect(tried.orders[kind].server).toEqual(without(SERVER, 'HeardServer', 'MemoryServer'));
    }
  });
});

test('a call that only a newer borg has is served to nobody; it is told, and so is each signature that has changed', () => {
  for (const kind of ['tenant', 'several', 'admin'] as const) {
    expect(tried.orders[kind].calls).toContain('put');
    expect(tried.orders[kind].calls).not.toContain('rename_everything');
  }
  expect(tried.known).toEqual([]);
  expect(tried.unknown).toContain('the call rename_everything');
  expect(tried.unknown).toContain('Repository.put(id data wait)');
  expect(tried.unknown).toContain('Repository.no_such_call(missing)');
});

test('the types with which guards are checked fit the installed borg', () => {
  const script = join(import.meta.dirname, '../python/borg_types.py');
  expect(JSON.parse(execFileSync(findBorg().python, ['-I', script], { encoding: 'utf8' }))).toEqual([]);
});

test('no guard imports another', () => {
  const guards = readdirSync(join(LAUNCHER, 'guards')).filter((name) => name.endsWith('.py'));
  expect(guards.length).toBeGreaterThan(10);
  const imports = guards.flatMap((name) =>
    readFileSync(join(LAUNCHER, 'guards', name), 'utf8')
      .split('\n')
      .filter((line) => /^\s*(from|import)\s/.test(line))
      .map((line) => `${name}: ${line.trim()}`),
  );
  expect(imports.join('\n')).toContain('keys.py: from launcher.folder_lock import one_at_a_time');
  // By a package's name, by a module's, or relative to it.
  expect(
    imports.filter((each) => /guards|launcher import install|launcher\.install|(from|import) \./.test(each)),
  ).toEqual([]);
});
