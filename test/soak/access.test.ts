import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Access, admits, fateOf, NOBODY, reaches, settle } from './access.ts';
import { chooseStep } from './choice.ts';
import { cardAt, DECK, HOST_FATES, RESTARTS } from './deck.ts';
import { diceAt } from './dice.ts';
import { chooseEdit, contradictions, type EditKind } from './edits.ts';
import { findingsOf } from './findings.ts';
import { EMPTY, type KeyFile, type Tree } from './key-tree.ts';
import type { OpenSession } from './model.ts';

const file = (keys: readonly number[], more: Partial<KeyFile> = {}): KeyFile => ({
  ...{ keys: keys.map((key) => ({ key, options: {} })), junk: [], sub: false },
  ...more,
});
const tree = (files: Readonly<Record<string, KeyFile>>): Tree => ({ ...EMPTY, files: new Map(Object.entries(files)) });
const keysOf = (access: Access, name: string) => [...(access.get(name)?.keys.keys() ?? [])];

describe('the model of who may do what', () => {
  test('without contradictions it is what the files say, whatever was before', () => {
    const before = settle(tree({ 'admins/web01': file([1, 2]), 'repos/gone': file([1]) }), NOBODY);
    const now = settle(tree({ 'repos/web01.pub': file([2, 3]) }), before);
    expect([...now.keys()]).toEqual(['web01']);
    expect(now.get('web01')?.role).toBe('repo');
    expect(keysOf(now, 'web01')).toEqual([2, 3]);
  });

  test('a private key closes its file, and a forbidden line only itself', () => {
    expect(settle(tree({ 'repos/web01': file([1], { junk: ['private'] }) }), NOBODY).size).toBe(0);
    expect(settle(tree({ 'repos/web01': file([1], { junk: ['forbidden'] }) }), NOBODY).size).toBe(1);
  });

  test('a contradiction leaves the narrower of what ran and what is declared, and gives nobody anything', () => {
    const before = settle(tree({ 'repos/web01': file([1, 2]), 'repos/other': file([1]) }), NOBODY);
    const torn = tree({
      ...{ 'repos/web01': file([1]), 'repos-appendonly/web01': file([1, 3]) },
      ...{ 'repos/other': file([1, 4]), 'repos/new': file([5]) },
    });
    const now = settle(torn, before);
    expect(now.get('web01')?.role).toBe('append-only');
    expect(keysOf(now, 'web01')).toEqual([1]);
    expect(keysOf(now, 'other')).toEqual([1]);
    expect(now.has('new')).toBe(false);
  });

  test('a folder out of sight changes nothing for its accounts', () => {
    const seen = tree({ 'repos/web01': file([1]), 'admins/ops': file([2]) });
    const before = settle(seen, NOBODY);
    const now = settle({ files: new Map([['admins/ops', file([3])]]), hidden: new Set(['repo']) }, before);
    expect(keysOf(now, 'web01')).toEqual([1]);
    expect(keysOf(now, 'ops')).toEqual([3]);
  });

  test('a slip in a directive keeps the quota that runs, as long as the account has its role', () => {
    const before = settle(tree({ 'repos/web01': file([1], { quota: 50e9 }) }), NOBODY);
    const slip = file([1], { junk: ['bad-directive'] });
    expect(settle(tree({ 'repos/web01': slip }), before).get('web01')?.quota).toBe(50e9);
    expect(settle(tree({ 'repos-appendonly/web01': slip }), before).get('web01')?.quota).toBeUndefined();
  });

  test('an expiry is sure long before and after, and not in between', () => {
    const access = settle(
      tree({ 'repos/web01': { ...file([]), keys: [{ key: 1, options: { expiry: 1000 } }] } }),
      NOBODY,
    );
    const at = [900_000, 1_000_500, 1_100_000].map((now) => admits(access, 'web01', 1, now));
    expect(at).toEqual(['yes', 'either', 'no']);
  });

  test('a session ends with a narrower role, another user id or its key, and goes on when it is given more', () => {
    const fate = (path: string, keys: readonly number[]) =>
      fateOf({ account: 'web01', key: 1, role: 'repo', sub: false }, settle(tree({ [path]: file(keys) }), NOBODY), 0);
    expect(fate('repos/web01', [1, 2])).toBe('goes on');
    expect(fate('repos-appendonly/web01', [1])).toBe('ends');
    expect(fate('admins/web01', [1])).toBe('ends');
    expect(fate('repos/web01', [2])).toBe('ends');
  });

  test('only an account that may have several repositories reaches below its own folder', () => {
    const access = settle(tree({ 'repos/one': file([1]), 'repos/many': file([1], { sub: true }) }), NOBODY);
    const reach = (name: string, path: string) => {
      const grant = access.get(name);
      return grant !== undefined && reaches(grant, name, path);
    };
    expect([reach('one', 'one'), reach('one', 'one/sub'), reach('one', 'many')]).toEqual([true, false, false]);
    expect([reach('many', 'many/sub'), reach('many', 'many2/sub')]).toEqual([true, false]);
  });
});

const EDITS: readonly EditKind[] = [
  ...(['add', 'change keys', 'remove', 'move', 'rename', 'spoil', 'direct', 'contradict'] as const),
  ...(['cure', 'misname', 'expire', 'narrow', 'hide', 'burst'] as const),
];

/** Every tree along a walk of edits, with who may do what in it. */
const walk = (seed: number, length: number) => {
  let state = { tree: EMPTY, access: NOBODY };
  return Array.from({ length }, (_, step) => {
    const dice = diceAt(seed, step);
    const kind = step < 3 ? 'add' : (EDITS[dice(EDITS.length)] ?? 'add');
    const edit = chooseEdit(kind, state.tree, dice, 1000);
    const before = state;
    if (edit) state = { tree: edit.tree, access: settle(edit.tree, state.access) };
    return { before, ...state };
  });
};

describe('along any walk of changes', () => {
  test('while something contradicts itself nobody gains a key', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        for (const { before, tree: now, access } of walk(seed, 40)) {
          if (
            contradictions(now).length === 0 ||
            findingsOf(now, access).every((each) => !each.startsWith('conflicting'))
          )
            continue;
          for (const [name, { keys }] of access)
            for (const key of keys.keys()) expect(before.access.get(name)?.keys.has(key)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('what the server has settled stays as it is when it looks again', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        for (const { tree: now, access } of walk(seed, 40)) expect(settle(now, access)).toEqual(access);
      }),
      { numRuns: 100 },
    );
  });
});

test('one seed gives one sequence, and every deck has every kind of restart, of the session host too', () => {
  const cards = (seed: number) => Array.from({ length: 3 * DECK }, (_, step) => cardAt(seed, step, false));
  expect(cards(7)).toEqual(cards(7));
  expect(cards(7)).not.toEqual(cards(8));
  const fates = [...RESTARTS, ...HOST_FATES];
  const second = cards(7).slice(DECK, 2 * DECK);
  expect(fates.filter((card) => !second.includes(card))).toEqual([]);
  expect(fates.filter((card) => cardAt(7, cards(7).indexOf(card), true) === card)).toEqual([]);
});

test('a step is chosen by seed, number and model alone', () => {
  const access = settle(tree({ 'repos/web01': file([1]) }), NOBODY);
  const model = {
    ...{ tree: EMPTY, access, repositories: new Map(), folders: new Set(['web01']) },
    ...{ uids: new Map([['web01', 10_000]]), sessions: [] },
  };
  const choose = () => chooseStep('borg', model, diceAt(3, 9), 0, 9);
  expect(choose()).toEqual(choose());
  expect(choose()).toMatchObject({ kind: 'borg', account: 'web01', key: 1, path: 'web01' });
});

test('an operator ends no session whose key may end it first', () => {
  const now = 1_000_000;
  const session: OpenSession = {
    ...({ id: 1, how: 'idle', account: 'web01', key: 1 } as const),
    ...({ role: 'repo', sub: false, path: '', archive: '' } as const),
  };
  const stepAt = (expiry: number) => {
    const keys = [{ key: 1, options: { expiry } }];
    const access = settle(tree({ 'repos/web01': file([], { keys }) }), NOBODY);
    const model = {
      ...{ tree: EMPTY, access, repositories: new Map(), folders: new Set<string>() },
      uids: new Map(),
      sessions: [session],
    };
    return chooseStep('end sessions', model, diceAt(3, 9), now, 9);
  };
  expect(stepAt(now / 1000 + 10)).toBeNull();
  expect(stepAt(now / 1000 + 1000)).toMatchObject({ kind: 'end sessions' });
});
