import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { type Account, type GrantedKey, type State, stateOf } from '../../src/accounts/account.ts';
import type { AuthorizedKey, NarrowingOptions } from '../../src/accounts/authorized-key.ts';
import {
  type Declaration,
  type DeclaredAccount,
  ENVIRONMENT,
  type FolderState,
} from '../../src/accounts/declaration.ts';
import type { Circumstances, StopOn } from '../../src/accounts/desired.ts';
import type { Directives } from '../../src/accounts/directives.ts';
import type { IdentityPolicy, Registry } from '../../src/accounts/identity.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import type { RepositoryFolder } from '../../src/accounts/repository-folder.ts';
import { ROLE_FOLDERS, ROLES, type Role } from '../../src/accounts/role.ts';

/** Few names, so that they meet: in two roles, with and without a folder, admin and tenant. */
export const NAMES = [
  'a',
  'b',
  'c',
  'web01',
  'Web01',
  '_x',
  '1a',
  'n-1.example',
] as const as readonly string[] as readonly AccountName[];

export const RANGE = { first: 10000, last: 10005 };
export const WIDE_RANGE = { first: 10000, last: 59999 };
export const PUID = 1000;
export const PGID = 1000;
export const TAKEN: ReadonlySet<number> = new Set([0, 1, 770, 771, 772, 773, 774, 1000, 10003]);

/** A sound ed25519 key. Its 32 bytes are computed from a number. */
export const keyNumber = (number: number): Pick<AuthorizedKey, 'type' | 'blob' | 'fingerprint'> => {
  const type = 'ssh-ed25519';
  const point = createHash('sha256').update(`key ${number}`).digest();
  const wire = Buffer.concat([
    Buffer.from([0, 0, 0, type.length]),
    Buffer.from(type),
    Buffer.from([0, 0, 0, 32]),
    point,
  ]);
  const hash = createHash('sha256').update(wire).digest('base64').replace(/=+$/, '');
  return { type, blob: wire.toString('base64'), fingerprint: `SHA256:${hash}` };
};

export const anyOptions: fc.Arbitrary<NarrowingOptions> = fc
  .record({
    from: fc.constantFrom(
      undefined,
      undefined,
      '10.0.0.1',
      '10.0.0.1,10.0.0.2',
      '10.0.0.2',
      '10.0.0.*,!10.0.0.3',
      '!10.0.0.3,10.0.0.*',
    ),
    expiryTime: fc.constantFrom(undefined, undefined, '20300101', '203001010000', '20310101', '20300101Z', '20310101Z'),
    verifyRequired: fc.constantFrom(undefined, undefined, true as const),
  })
  .map(({ from, expiryTime, verifyRequired }) => ({
    ...(from !== undefined && { from }),
    ...(expiryTime !== undefined && { expiryTime }),
    ...(verifyRequired && { verifyRequired }),
  }));

const anyComment = fc.constantFrom('', 'alice', 'bob at home', 'ünïcode ✓');

export const anyGranted: fc.Arbitrary<GrantedKey> = fc
  .record({ number: fc.nat(5), options: anyOptions, comment: anyComment })
  .map(({ number, options, comment }) => ({ ...keyNumber(number), options, comment }));

const uniqueKeys = (max: number, min = 0) =>
  fc.uniqueArray(anyGranted, { minLength: min, maxLength: max, selector: (key) => key.blob });

/** An admin has no directives. */
export const anyDirectives: fc.Arbitrary<Directives> = fc
  .record({ quota: fc.constantFrom(undefined, undefined, 20e6, 50e9), sub: fc.constantFrom(false, false, true) })
  .map(({ quota, sub }) => ({
    ...(quota !== undefined && { quota }),
    ...(sub && { subRepositories: true as const }),
  }));

export const anyRole: fc.Arbitrary<Role> = fc.constantFrom(...ROLES);

/** A state that the server could have written: a uid of its own for each tenant, PUID for admins. */
export const anyState: fc.Arbitrary<State> = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom(...NAMES),
      role: anyRole,
      uid: fc.integer({ min: RANGE.first, max: RANGE.last + 3 }),
      keys: uniqueKeys(3, 1),
      directives: anyDirectives,
    }),
    {
      maxLength: 6,
      comparator: (a, b) => a.name === b.name || (a.role !== 'admin' && b.role !== 'admin' && a.uid === b.uid),
    },
  )
  .map((accounts) =>
    stateOf(
      accounts.map(
        ({ directives, ...account }): Account =>
          account.role === 'admin' ? { ...account, uid: PUID } : { ...account, ...directives },
      ),
    ),
  );

const anyDeclared = (role: fc.Arbitrary<Role>): fc.Arbitrary<DeclaredAccount> =>
  fc
    .record({
      name: fc.constantFrom(...NAMES),
      role,
      pub: fc.boolean(),
      unreadable: fc.constantFrom(false, false, false, true),
      keys: uniqueKeys(3),
      version: fc.constantFrom('1', '2'),
      directives: anyDirectives,
    })
    .map(({ pub, keys, unreadable, directives, ...account }) => {
      const file = `/sshkeys/${ROLE_FOLDERS[account.role]}/${account.name}${pub ? '.pub' : ''}`;
      return {
        ...account,
        ...(account.role === 'admin' || unreadable ? {} : directives),
        file,
        unreadable,
        keys: unreadable ? [] : keys.map((key, index): AuthorizedKey => ({ ...key, file, line: index + 1 })),
      };
    });

const anyEnvironment: fc.Arbitrary<DeclaredAccount> = uniqueKeys(2, 1).map((keys) => ({
  name: 'borg' as AccountName,
  role: 'admin',
  file: ENVIRONMENT,
  unreadable: false,
  version: '',
  keys: keys.map((key, index) => ({ ...key, file: ENVIRONMENT, line: index + 1 })),
}));

export const anyDeclaration: fc.Arbitrary<Declaration> = fc
  .record({
    folders: fc.record({
      repo: fc.constantFrom<FolderState[]>('read', 'read', 'read', 'unreadable'),
      'append-only': fc.constantFrom<FolderState[]>('read', 'read', 'read', 'missing'),
      admin: fc.constantFrom<FolderState[]>('read', 'read', 'read', 'missing'),
    }),
    accounts: fc.uniqueArray(anyDeclared(anyRole), { maxLength: 7, selector: ({ file }) => file }),
    environment: fc.option(anyEnvironment, { nil: null }),
  })
  .map(({ folders, accounts, environment }) => ({
    folders,
    accounts: [...accounts.filter(({ role }) => folders[role] === 'read'), ...(environment ? [environment] : [])],
    findings: [],
  }));

export const anyFolders: fc.Arbitrary<readonly RepositoryFolder[]> = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom<string[]>(...NAMES, 'foreign', '12345', '__proto__'),
    kind: fc.constantFrom<RepositoryFolder['kind'][]>('folder', 'folder', 'folder', 'other'),
    uid: fc.oneof(fc.constantFrom(0, 1000, PUID, 10003, 60000), fc.integer({ min: RANGE.first, max: RANGE.last })),
    gid: fc.constantFrom(0, 1000, 10000, 10001),
    mode: fc.constantFrom(0o2770, 0o700, 0o770, 0o755),
  }),
  { maxLength: 7, selector: ({ name }) => name },
);

export const anyRegistry: fc.Arbitrary<Registry> = fc.record({
  highWater: fc.constantFrom(0, 9999, 10000, 10002, 10005, 60000),
  uids: fc
    .uniqueArray(fc.tuple(fc.constantFrom<string[]>(...NAMES, 'gone'), fc.integer({ min: 9998, max: 10007 })), {
      selector: ([name]) => name,
      maxLength: 6,
    })
    .map((pairs) => Object.fromEntries(pairs)),
  roles: fc.subarray([...ROLES]),
});

export const anyStopOn: fc.Arbitrary<StopOn> = fc.constantFrom('conflicts', 'errors', 'nothing');

export const anyCircumstances: fc.Arbitrary<Circumstances> = fc.record({
  declaration: anyDeclaration,
  folders: anyFolders,
  registry: anyRegistry,
  running: anyState,
  puid: fc.constant(PUID),
  uidRange: fc.constantFrom(RANGE, WIDE_RANGE),
  identities: fc.constant<IdentityPolicy>({ kind: 'own' }),
  takenIds: fc.constant(TAKEN),
  stopOn: anyStopOn,
});

/** The same things in another order. */
export const shuffled = <T>(things: readonly T[], seed: number): T[] =>
  things
    .map((thing, index) => ({ thing, order: createHash('md5').update(`${seed} ${index}`).digest('hex') }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .map(({ thing }) => thing);
