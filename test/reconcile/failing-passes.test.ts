import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { State } from '../../src/accounts/account.ts';
import type { Change } from '../../src/accounts/diff.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { createPass, type PassReport, type PassRequest } from '../../src/reconcile/pass.ts';
import { keyNumber } from '../accounts/any.ts';
import { type Call, interceptSystem, systemError } from './failing-system.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

const line = (number: number): string => `${keyNumber(number).type} ${keyNumber(number).blob} key${number}\n`;
const { signal } = new AbortController();
const FOLDERS = { repo: 'repos', 'append-only': 'repos-appendonly', admin: 'admins' } as const;
type Role = keyof typeof FOLDERS;

let scratch: ScratchRoot;
afterEach(() => scratch.remove());

/** Whom the tree lets in: for each account its role and the numbers of its keys. */
type Tree = ReadonlyMap<string, { readonly role: Role; readonly keys: readonly number[] }>;

/** Each login as one text, so that sets of them can be compared. */
const ofTree = (tree: Tree): Set<string> =>
  new Set(
    [...tree].flatMap(([name, { role, keys }]) => keys.map((key) => `${name} ${role} ${keyNumber(key).fingerprint}`)),
  );
const ofState = (state: State): Set<string> =>
  new Set(
    [...state.values()].flatMap(({ name, role, keys }) =>
      keys.map(({ fingerprint }) => `${name} ${role} ${fingerprint}`),
    ),
  );
/** The roles above a role: a login that may have one of them may have the role itself, too. */
const ABOVE: Readonly<Record<string, readonly string[]>> = { repo: ['admin'], 'append-only': ['repo', 'admin'] };
const beyond = (granted: Set<string>, ...allowed: Set<string>[]): string[] =>
  [...granted].filter((login) => {
    const [name, role = '', fingerprint] = login.split(' ');
    const same = [role, ...(ABOVE[role] ?? [])].map((each) => `${name} ${each} ${fingerprint}`);
    return !allowed.some((each) => same.some((one) => each.has(one)));
  });

/** One server, whose calls of the system fail by their number, or by what they are. */
const failingServer = () => {
  scratch = scratchRoot();
  let tree: Tree = new Map();
  let access: State = new Map();
  let now = 0;
  const pass = createPass({
    ...scratch.world((state) => {
      access = state;
    }),
    now: () => now,
  });
  return {
    tree: () => tree,
    access: () => ofState(access),
    declare: (next: Tree): void => {
      for (const [name, { role }] of tree) scratch.undeclare(`${FOLDERS[role]}/${name}`);
      for (const [name, { role, keys }] of next) scratch.declare(`${FOLDERS[role]}/${name}`, keys.map(line).join(''));
      tree = next;
    },
    /** The report of a pass, or null if it has thrown. All files have been still for long. */
    pass: async (
      occasion: PassRequest['occasion'],
      fails: (call: Call, number: number) => boolean = () => false,
    ): Promise<PassReport | null> => {
      now += 5000;
      let number = 0;
      const undo = interceptSystem((call) => {
        number += 1;
        if (fails(call, number)) throw systemError('EIO', call);
      });
      try {
        return await pass({ occasion, dryRun: false }, signal);
      } catch {
        return null;
      } finally {
        undo();
      }
    },
  };
};

/** Plays back what was told. Returns the accounts that there must be now. */
const played = (names: ReadonlySet<string>, changes: readonly Change[]): Set<string> => {
  const after = new Set(names);
  for (const { kind, account } of changes) {
    if (kind === 'account-added') after.add(account);
    if (kind === 'account-removed') after.delete(account);
  }
  return after;
};

const anyTree: fc.Arbitrary<Tree> = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom('web01', 'web02', 'db01', 'alice'),
      role: fc.constantFrom<Role>('repo', 'append-only', 'admin'),
      keys: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
    }),
    { selector: ({ name }) => name, maxLength: 4 },
  )
  .map((accounts) => new Map(accounts.map(({ name, ...account }) => [name, account])));

const anyPass = fc.record({
  tree: anyTree,
  occasion: fc.constantFrom('asked', 'periodic', 'event' as const),
  failing: fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 2 }),
});

describe('several passes in a row in which one or two calls of the system fail', () => {
  it('let nobody in whom neither the machine nor the tree let in, tell only what is true, forget nothing, and heal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyPass, { minLength: 2, maxLength: 5 }), async (passes) => {
        const server = failingServer();
        try {
          let told = new Set<string>();
          for (const { tree, occasion, failing } of passes) {
            server.declare(tree);
            const [before, connected] = [ofState(scratch.running()), server.access()];
            const report = await server.pass(occasion, (_call, number) => failing.includes(number));
            const running = scratch.running();
            expect(beyond(ofState(running), before, ofTree(tree))).toEqual([]);
            expect(beyond(server.access(), before, connected, ofTree(tree))).toEqual([]);
            if (report === null) continue;
            told = played(told, report.changes);
            if (report.failed === null) expect([...told].sort()).toEqual([...running.keys()].sort());
            expect(report.accounts.map(({ name }) => name).filter((name) => !running.has(name as AccountName))).toEqual(
              [],
            );
            for (const { kind, account, fingerprint } of report.changes.filter(({ kind }) => kind === 'key-removed'))
              expect(`${kind} ${[...ofState(running)].includes(`${account} ${fingerprint}`)}`).toBe(`${kind} false`);
          }
          // It was still once, so that what is gone counts when it is looked at again.
          await server.pass('periodic');
          const healed = await server.pass('periodic');
          expect(healed).toMatchObject({ failed: null, stopped: false });
          expect(ofState(scratch.running())).toEqual(ofTree(server.tree()));
          expect(server.access()).toEqual(ofTree(server.tree()));
        } finally {
          scratch.remove();
        }
      }),
      { numRuns: Number(process.env.RUNS ?? 60) },
    );
  });
});

describe('a file of keys that can be neither written nor removed', () => {
  const stuck = (name: string) => (call: Call) =>
    new RegExp(`/authorized_keys/\\.?${name}\\b`).test(call.path) &&
    (/^(rm|rename|unlink)/.test(call.name) || (call.name === 'openSync' && call.path.endsWith('.new')));
  const start = async () => {
    const server = failingServer();
    server.declare(
      new Map([
        ['stuck', { role: 'repo', keys: [1, 2] }],
        ['web01', { role: 'repo', keys: [3, 4] }],
      ]),
    );
    expect(await server.pass('asked')).toMatchObject({ failed: null });
    return server;
  };

  it.each(['asked', 'periodic'] as const)(
    'closes its account, still narrows all other accounts, and tells the true state (%s)',
    async (occasion) => {
      const server = await start();
      const tree: Tree = new Map([
        ['stuck', { role: 'repo', keys: [1] }],
        ['web01', { role: 'repo', keys: [3] }],
        ['web02', { role: 'append-only', keys: [5] }],
      ]);
      server.declare(tree);
      if (occasion === 'periodic') await server.pass(occasion);
      const report = await server.pass(occasion, stuck('stuck'));
      expect(report?.failed).toContain('EIO');
      const others = new Map([...tree].filter(([name]) => name !== 'stuck'));
      expect(ofState(scratch.running())).toEqual(ofTree(others));
      const told = report?.changes
        .map(({ kind, account }) => `${kind} ${account}`)
        .filter((each) => !/web02/.test(each));
      expect(told).toEqual(['account-removed stuck', 'key-removed web01']);
      expect(report?.accounts.map(({ name }) => name)).toEqual(['web01', 'web02']);
      expect(beyond(server.access(), ofTree(tree))).toEqual([]);

      const healed = await server.pass('periodic');
      const after = healed?.changes.map(({ kind, account }) => `${kind} ${account}`);
      expect(after).toEqual(['authorized-keys-repaired stuck', 'account-added stuck']);
      expect(ofState(scratch.running())).toEqual(ofTree(tree));
    },
  );

  it('keeps a new account closed if somebody has left more keys there for it', async () => {
    const server = await start();
    const folder = join(scratch.places.run, 'authorized_keys');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'late'), `restrict ${line(6)}`, { mode: 0o640 });
    const tree: Tree = new Map([...server.tree(), ['late', { role: 'repo', keys: [5] }]]);
    server.declare(tree);
    const report = await server.pass('asked', stuck('late'));
    expect(report?.failed).toContain('EIO');
    expect([...scratch.running().keys()]).toEqual(['stuck', 'web01']);
    expect(await server.pass('asked')).toMatchObject({ failed: null });
    expect(ofState(scratch.running())).toEqual(ofTree(tree));
  });
});

describe('a database that can be neither written nor read again', () => {
  it('is reported with the accounts that were not to change, and with no other', async () => {
    const server = failingServer();
    const of = (accounts: Readonly<Record<string, { role: Role; keys: readonly number[] }>>): Tree =>
      new Map(Object.entries(accounts));
    const web02 = { role: 'repo', keys: [2] } as const;
    server.declare(of({ db01: { role: 'repo', keys: [6] }, web02 }));
    expect(await server.pass('asked')).toMatchObject({ failed: null });
    const tree = of({ db01: { role: 'admin', keys: [6] }, web01: { role: 'repo', keys: [1] }, web02 });
    server.declare(tree);
    let written = false;
    const report = await server.pass('asked', ({ name, path }) => {
      const writes = name === 'openSync' && path.endsWith('/.group.new');
      written ||= writes;
      return writes || (written && path.endsWith('/passwd'));
    });
    expect(report?.failed).toContain('the account database could not be written');
    expect(report?.accounts.map(({ name }) => name)).toEqual(['web02']);
    expect([...scratch.running().keys()]).toEqual(['web02']);

    const healed = await server.pass('periodic');
    expect(healed).toMatchObject({ failed: null });
    expect(ofState(scratch.running())).toEqual(ofTree(tree));
  });
});
