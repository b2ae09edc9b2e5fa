import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Account } from '../../src/accounts/account.ts';
import type { Connection } from '../../src/sessions/connections.ts';
import {
  decideByGrant,
  decideByNumber,
  decideBySight,
  type Moment,
  noTimes,
  type Rules,
  type Shown,
  timesAfter,
} from '../../src/sessions/decision.ts';
import { noteLosses } from '../../src/sessions/revocation.ts';
import type { Session } from '../../src/sessions/session.ts';
import type { Verdict } from '../../src/sessions/verdict.ts';
import { process_ } from './process-list.ts';
import { account, keyOf, session, state } from './states.ts';

const NOON = Date.parse('2026-01-01T12:00:00Z');
const WEB = account('web01', [keyOf(1)]);
const OURS = session({ process: { pid: 60, start: 100 } });
const MOMENT: Moment = { now: NOON, steady: 0, ticks: 200 };
const LOST_AT_150 = new Map([['web01', 150]]);

const rulesOf = (accounts: readonly Account[], more: Partial<Rules> = {}): Rules => ({
  ...{ state: state(...accounts), losses: new Map(), sessionsPerAccount: 2, graceSeconds: 180 },
  ...more,
});
const connectionOf = (more: Partial<Connection> = {}): Connection => ({
  ...{ pid: 60, start: 100, uid: 10_000, below: [61, 62] },
  ...more,
});
const shownOf = (more: Partial<Shown> = {}): Shown => ({
  ...{ connections: [connectionOf()], outside: [], unseen: [], isTold: () => true, over: () => [], lost: new Set() },
  ...more,
});
const said = (verdicts: readonly Verdict[]) =>
  verdicts.map(({ kind, roots, reason }) => `${kind} ${roots[0]?.pid}: ${reason}`);

describe('by what is granted', () => {
  type Case = readonly [
    what: string,
    reason: string | null,
    accounts: readonly Account[],
    more?: { readonly session?: Partial<Session>; readonly rules?: Partial<Rules>; readonly now?: string },
  ];
  const expiring = account('web01', [keyOf(1, { expiryTime: '20260101120000Z' })]);
  const CASES: readonly Case[] = [
    ['goes on as long as its account has its key', null, [WEB]],
    ['goes on where another account changes', null, [WEB, account('web02', [keyOf(2)], { role: 'append-only' })]],
    ['ends when its key file is gone from the tree', 'its account is gone', [account('web02', [keyOf(2)])]],
    ['ends when everything is gone', 'its account is gone', []],
    ['ends when its key is removed from the file', 'its key is gone', [account('web01', [keyOf(2)])]],
    ['goes on in the second in which its key expires', null, [expiring]],
    ['ends when its key has expired', 'its key has expired', [expiring], { now: '2026-01-01T12:00:00.001Z' }],
    [
      'ends when from= does not allow its address any more',
      'its address is no longer in from=',
      [account('web01', [keyOf(1, { from: '192.0.2.0/30' })])],
    ],
    ['goes on where from= still allows it', null, [account('web01', [keyOf(1, { from: '192.0.2.0/24' })])]],
    [
      'ends when its role becomes a narrower one',
      'its role repo became append-only',
      [account('web01', [keyOf(1)], { role: 'append-only' })],
    ],
    ['goes on when its role becomes a wider one', null, [WEB], { session: { role: 'append-only' } }],
    [
      'ends when its account has another user id',
      'its account got another user id',
      [account('web01', [keyOf(1)], { uid: 10_001 })],
    ],
    [
      'ends if nobody knows which key let it in',
      'its account was not there when it logged in',
      [WEB],
      { session: { role: null, uid: null } },
    ],
    [
      'ends if it began before its account lost a privilege, even if the privilege is granted again',
      'it began to log in before its privileges changed',
      [WEB],
      { rules: { losses: LOST_AT_150 } },
    ],
    [
      'goes on if it began after that',
      null,
      [WEB],
      { rules: { losses: LOST_AT_150 }, session: { process: { pid: 60, start: 151 } } },
    ],
    ['goes on if another account lost a privilege', null, [WEB], { rules: { losses: new Map([['web02', 150]]) } }],
  ];
  it.each(CASES.map(([what, ...rest]) => [what, rest] as const))('a session %s', (_, [reason, accounts, more]) => {
    const { session: given, rules, now } = more ?? {};
    const ours = session({ process: { pid: 60, start: 100 }, ...given });
    const moment = { ...MOMENT, now: now === undefined ? NOON : Date.parse(now) };
    const verdict = decideByGrant(ours, rulesOf(accounts, rules), moment);
    expect(verdict?.reason ?? null).toBe(reason);
    if (verdict) expect(verdict).toMatchObject({ kind: 'session', roots: [ours.process], session: ours, alarm: null });
  });

  it('connections beyond the limit of an account end, the newest ones, after a time in which they may end by themselves', () => {
    const sessions = [1, 2, 3].map((at) => session({ port: at, steadySince: at }));
    const at = (steady: number) => said(decideByNumber(sessions, rulesOf([WEB]), { steady }));
    expect(at(30_003)).toEqual([]);
    expect(at(30_004)).toEqual(['session 3: its account has more than 2 connections (SESSIONS_PER_ACCOUNT)']);
  });
});

describe('by what the kernel shows', () => {
  /** What the last of these looks decides. Each comes so many milliseconds after the start. */
  const look = (
    looks: readonly (readonly [steady: number, shown: Partial<Shown>])[],
    rules = rulesOf([WEB]),
    sessions: readonly Session[] = [],
  ): readonly Verdict[] => {
    let times = noTimes({ steady: 0 });
    let verdicts: readonly Verdict[] = [];
    for (const [steady, more] of looks) {
      times = timesAfter(times, sessions, shownOf(more), rules, { steady });
      verdicts = decideBySight(sessions, shownOf(more), times, rules, { ...MOMENT, steady });
    }
    return verdicts;
  };
  const untold = { isTold: () => false };
  const lost = new Set([10_000]);
  const outside = [process_(70, 1, { uid: 10_000 }), process_(71, 1, { uid: 10_000 })];
  const gone = { connections: [], outside };
  const NOT_TOLD = 'session 60: it cannot be told which key opened it';

  type Case = readonly [
    what: string,
    looks: readonly (readonly [steady: number, shown: Partial<Shown>])[],
    said: readonly string[],
    rules?: Rules,
  ];
  const CASES: readonly Case[] = [
    ['a connection of which sshd has told goes on', [0, 3000, 6000, 9000, 12_000].map((at) => [at, {}]), []],
    ['a connection of which sshd has not told gets time', [0, 3000, 6000, 9000].map((at) => [at, untold]), []],
    [
      'a connection of which sshd has not told ends after that time',
      [0, 3000, 6000, 9000, 10_000].map((at) => [at, untold]),
      [NOT_TOLD],
    ],
    [
      'a connection that is not logged in yet does not count',
      [0, 20_000].map((at) => [at, { ...untold, connections: [connectionOf({ uid: null })] }]),
      [],
    ],
    [
      'if its account has just lost something, such a connection gets hardly any time',
      [
        [0, { ...untold, lost }],
        [100, untold],
      ],
      [NOT_TOLD],
    ],
    [
      'but it gets some time: the line may be on its way',
      [
        [0, { ...untold, lost }],
        [99, untold],
      ],
      [],
    ],
    ['if its account is gone, it ends at once', [[0, untold]], ['session 60: its account is gone'], rulesOf([])],
    [
      'if it began before its account lost a privilege, it ends at once, too',
      [[0, untold]],
      ['session 60: its account lost a privilege'],
      rulesOf([WEB], { losses: LOST_AT_150 }),
    ],
    [
      'if it began after that, it gets time: it may be a new login',
      [[0, untold]],
      [],
      rulesOf([WEB], { losses: new Map([['web01', 99]]) }),
    ],
    [
      'a process under no connection gets a second',
      [
        [0, gone],
        [999, gone],
      ],
      [],
    ],
    [
      'a process under no connection ends after that second, with all processes of its user id',
      [
        [0, gone],
        [1000, gone],
      ],
      ['process 70: its connection has ended'],
    ],
    [
      'after a loss such a process gets hardly any time',
      [
        [0, { ...gone, lost }],
        [100, gone],
      ],
      ['process 70: its connection has ended'],
    ],
    [
      'if its account is gone, it gets as little time',
      [
        [0, gone],
        [100, gone],
      ],
      ['process 70: its account is gone'],
      rulesOf([]),
    ],
    ['a look that sees nothing decides nothing', [[0, { connections: [] }]], []],
  ];
  it.each(CASES.map(([what, ...rest]) => [what, rest] as const))('%s', (_, [looks, expected, rules]) => {
    expect(said(look(looks, rules))).toEqual(expected);
  });

  it('only what should never happen is an alarm', () => {
    const verdicts = (looks: Parameters<typeof look>[0], rules?: Rules) => look(looks, rules).map(({ alarm }) => alarm);
    expect(verdicts([0, 3000, 6000, 9000, 10_000].map((at) => [at, untold]))).toEqual([
      expect.stringMatching(/does not tell/),
    ]);
    expect(verdicts([[0, untold]], rulesOf([]))).toEqual([null]);
    expect(
      verdicts([
        [0, gone],
        [1000, gone],
      ]),
    ).toEqual([null]);
  });

  it('processes under no connection end with all that their user id has there', () => {
    expect(
      look([
        [0, gone],
        [1000, gone],
      ]),
    ).toMatchObject([{ roots: outside, uid: 10_000, session: null }]);
  });

  it('a login that the kernel does not show ends, and is an alarm if no client can cause that', () => {
    const unseen = (uid: number | null, ticks: number) => {
      const shown = shownOf({ unseen: [OURS], connections: [connectionOf({ uid })] });
      const times = timesAfter(noTimes(MOMENT), [OURS], shown, rulesOf([WEB]), MOMENT);
      return decideBySight([OURS], shown, times, rulesOf([WEB]), { steady: 0, ticks });
    };
    const reason = 'the kernel does not show its login';
    expect(unseen(null, 200)).toMatchObject([{ reason, session: OURS, roots: [OURS.process], alarm: null }]);
    expect(unseen(10_001, 200)).toMatchObject([{ reason, alarm: expect.stringMatching(/another account/) }]);
    expect(unseen(null, 100 + 18_001)).toMatchObject([{ reason, alarm: expect.stringMatching(/given up/) }]);
  });

  it('the newest connections of an account that has had too many sessions for long end', () => {
    const sessions = [60, 61].map((pid) => session({ port: pid, steadySince: pid, process: { pid, start: 100 } }));
    const connections = [60, 61].map((pid) => connectionOf({ pid, below: [1, 2, 3].map((each) => pid * 10 + each) }));
    const at = (...times: readonly number[]) =>
      said(
        look(
          times.map((steady) => [steady, { connections }]),
          rulesOf([WEB]),
          sessions,
        ),
      );
    expect(at(0, 29_999)).toEqual([]);
    expect(at(0, 30_000)).toEqual(['session 61: its account has more than 2 sessions (SESSIONS_PER_ACCOUNT)']);
  });
});

it('a loss that was noted counts against a login that had begun before, and against no later one', () => {
  const narrow = state(account('web01', [keyOf(1)], { role: 'append-only' }));
  const losses = noteLosses(state(WEB), narrow, new Map(), 150, 18_000);
  const rules = rulesOf([WEB], { losses: noteLosses(narrow, state(WEB), losses, 160, 18_000) });
  const began = (start: number) => decideByGrant(session({ process: { pid: 60, start } }), rules, MOMENT)?.reason;
  expect([began(100), began(150), began(151)]).toEqual([
    'it began to log in before its privileges changed',
    'it began to log in before its privileges changed',
    undefined,
  ]);
});

it('decides the same from the same values, and changes nothing that it is given', () => {
  const sessions = Object.freeze([Object.freeze(OURS)]);
  const shown = Object.freeze(shownOf({ isTold: () => false, lost: new Set([10_000]) }));
  const before = Object.freeze(noTimes({ steady: 0 }));
  const once = () => {
    const times = timesAfter(before, sessions, shown, rulesOf([]), { steady: 500 });
    return [
      times,
      decideByGrant(OURS, rulesOf([]), MOMENT),
      decideBySight(sessions, shown, times, rulesOf([]), MOMENT),
    ];
  };
  expect(once()).toEqual(once());
  expect(before).toEqual(noTimes({ steady: 0 }));
});

describe('what decides, and all that it imports,', () => {
  const SESSIONS = join(import.meta.dirname, '../../src/sessions');
  /** A file with everything that it imports and that runs. Types do not run. */
  const withImports = (file: string, found = new Map<string, string>()): ReadonlyMap<string, string> => {
    const text = readFileSync(file, 'utf8');
    found.set(file, text);
    for (const [, name = ''] of text.matchAll(/^(?:import|export)(?! type)\b[^;'"]*?\bfrom '([^']+)'/gm)) {
      if (!name.startsWith('.')) found.set(name, '');
      else if (!found.has(join(dirname(file), name))) withImports(join(dirname(file), name), found);
    }
    return found;
  };

  it('is nothing but text, addresses and itself: it reads no clock and no /proc, and signals nobody', () => {
    const all = withImports(join(SESSIONS, 'decision.ts'));
    expect([...all.keys()]).toEqual(
      expect.arrayContaining(['revocation', 'strays', 'crowd'].map((each) => join(SESSIONS, `${each}.ts`))),
    );
    expect([...all.keys()].filter((each) => !each.startsWith('/') && each !== 'node:net')).toEqual([]);
    const impure =
      /\b(Date\.now|new Date\(\)|performance\.|Math\.random|process\.(?:kill|hrtime|uptime|env|argv|cwd|on)\b|setTimeout|setInterval|readFile)/;
    expect([...all].filter(([, text]) => impure.test(text)).map(([file]) => file)).toEqual([]);
  });

  it('would be seen to import /proc and signals, as the machine does; the tracker reaches both only through the machine', () => {
    const machine = [...withImports(join(SESSIONS, 'machine.ts')).keys()];
    expect(machine).toEqual(expect.arrayContaining(['node:fs', join(SESSIONS, 'end-connection.ts')]));
    expect(readFileSync(join(SESSIONS, 'tracker.ts'), 'utf8')).not.toMatch(
      /\b(Date\.now|performance\.|setTimeout|setInterval)\b|processes\.ts|node:/,
    );
  });

  it('a process can be named without the code that reads or signals it', () => {
    expect([...withImports(join(SESSIONS, 'process.ts')).keys()]).toEqual([join(SESSIONS, 'process.ts')]);
  });
});
