import { expect, test } from 'vitest';
import { createHosted, type Hosted } from '../../src/sessions/hosted.ts';
import type { Outcome } from '../../src/sessions/outcome.ts';
import { createOutcomes, type Ended } from '../../src/sessions/outcomes.ts';
import type { Session } from '../../src/sessions/session.ts';

const WEB01: Session = {
  ...{ peer: '192.0.2.7|4000', address: '192.0.2.7', port: 4000, account: 'web01', role: 'repo', uid: 10_000 },
  ...{ subRepositories: false, fingerprint: 'SHA256:a', comment: 'root@web01', file: null, line: null },
  ...{ since: 0, steadySince: 0, process: { pid: 100, start: 7 } },
};
const DB01: Session = { ...WEB01, account: 'db01', uid: 10_001, process: { pid: 200, start: 9 } };

const said = (more: Partial<Outcome> = {}): Outcome => ({
  ...{ uid: 10_000, process: { pid: 100, start: 7 }, what: 'no-space', wrote: true, path: 'web01' },
  ...more,
});

const start = (hosted: Pick<Hosted, 'connectionOf'> = { connectionOf: () => undefined }) => {
  const known: Session[] = [WEB01, DB01];
  const lines: Readonly<Record<string, unknown>>[] = [];
  const ended: Ended[] = [];
  const clock = { now: 0 };
  const write = (facts: object, message: string) => void lines.push({ ...facts, message });
  const outcomes = createOutcomes(
    { info: write, warn: write, error: write },
    ({ pid, start: began }) => known.find(({ process }) => process.pid === pid && process.start === began),
    hosted.connectionOf,
    (each) => ended.push(each),
    () => clock.now,
  );
  return { outcomes, lines, ended, clock, known };
};

test('a failure is a line with account and cause, and words for the end of its session, once', () => {
  const { outcomes, lines, ended } = start();
  outcomes.take(said());
  expect(lines).toEqual([
    expect.objectContaining({
      ...{ message: 'a session failed, and not by its client', account: 'web01', repository: 'web01' },
      cause: 'no space left on the disk',
    }),
  ]);
  expect(ended).toEqual([{ what: 'no-space', wrote: true, repository: 'web01', account: 'web01' }]);
  expect(outcomes.endOf(WEB01)).toBe('no space left on the disk');
  expect(outcomes.endOf(WEB01)).toBeUndefined();
  outcomes.take(said({ what: 'well' }));
  expect(lines.length).toBe(1);
  expect(ended.at(-1)).toMatchObject({ what: 'well', repository: 'web01' });
  expect(outcomes.endOf(WEB01)).toBeUndefined();
});

test('what the client itself has caused is not told as the server’s failure', () => {
  const { outcomes, lines } = start();
  outcomes.take(said({ what: 'path' }));
  expect(lines).toEqual([
    expect.objectContaining({ message: 'a session was refused what its client asked for', account: 'web01' }),
  ]);
});

test('a failure counts only from a process of that account, below that connection, and for its own repository', () => {
  const { outcomes, lines, ended } = start();
  outcomes.take(said({ uid: 10_001 }));
  outcomes.take(said({ uid: 0 }));
  outcomes.take(said({ process: { pid: 100, start: 8 } }));
  expect([lines, ended]).toEqual([[], []]);
  expect(outcomes.endOf(WEB01)).toBeUndefined();
  outcomes.take(said({ path: 'db01' }));
  expect(ended.map(({ repository }) => repository)).toEqual(['web01']);
  expect(outcomes.endOf(DB01)).toBeUndefined();
});

test('an account that fails without end gets three lines, and then one an hour with a sum; another account’s failure is still written', () => {
  const { outcomes, lines, ended, clock } = start();
  for (let times = 0; times < 1000; times += 1) {
    outcomes.take(said());
    outcomes.endOf(WEB01);
  }
  expect(lines.length).toBe(3);
  outcomes.take(said({ uid: 10_001, process: { pid: 200, start: 9 }, path: 'db01' }));
  expect(lines.length).toBe(4);
  // Sessions that end well in between do not make anybody look again and again either.
  outcomes.take(said({ what: 'well' }));
  expect(ended.some(({ what }) => what === 'well')).toBe(false);
  clock.now += 3_600_000;
  outcomes.take(said({ what: 'well' }));
  expect(ended.at(-1)?.what).toBe('well');
  outcomes.take(said());
  expect(lines.at(-1)).toMatchObject({ account: 'web01', notShownBefore: 997 });
});

test('an outcome that comes before sshd’s own line counts once that line has come; only a bounded number of them is kept', () => {
  const { outcomes, ended, known } = start();
  const late: Session = { ...WEB01, process: { pid: 300, start: 11 } };
  outcomes.take(said({ process: late.process }));
  expect(ended).toEqual([]);
  known.push(late);
  outcomes.opened(late);
  expect(ended.length).toBe(1);
  expect(outcomes.endOf(late)).toBe('no space left on the disk');

  const lost: Session = { ...WEB01, process: { pid: 5000, start: 1 } };
  outcomes.take(said({ process: lost.process }));
  for (let pid = 10_000; pid < 12_000; pid += 1) outcomes.take(said({ process: { pid, start: 1 } }));
  outcomes.opened(lost);
  expect(outcomes.endOf(lost)).toBeUndefined();
});

test('if a client asks for what nobody may have, the refusal is only a word for the end of its session', () => {
  const { outcomes, lines, ended } = start();
  outcomes.take(said({ what: 'refused' }));
  expect([lines, ended]).toEqual([[], []]);
  expect(outcomes.endOf(WEB01)).toBe('the server refused what it asked for');
});

test('a hosted session names only itself: the host’s line says whose connection it has, before, after, or once the session has ended', () => {
  const hosted = createHosted(() => true);
  const { outcomes, ended, known } = start(hosted);
  const session = (pid: number, connection = WEB01.process) => ({
    ...{ process: { pid, start: 8 }, client: { pid: 101, start: 8 }, connection, uid: 10_000 },
  });
  const told = (pid: number) => said({ process: { pid, start: 8 } });

  hosted.began(session(500));
  outcomes.take(told(500));
  expect(outcomes.endOf(WEB01)).toBe('no space left on the disk');
  hosted.ended({ pid: 500, start: 8 }, { cpuSeconds: 1, peakMemory: 1 });
  outcomes.take(told(500));
  expect(outcomes.endOf(WEB01)).toBe('no space left on the disk');

  outcomes.take(told(501));
  outcomes.take(told(502));
  expect([ended.length, outcomes.endOf(WEB01)]).toEqual([2, undefined]);
  outcomes.began(session(501));
  expect([ended.length, outcomes.endOf(WEB01)]).toEqual([3, 'no space left on the disk']);
  // The session's outcome comes first of all, sshd's line last.
  const late: Session = { ...WEB01, process: { pid: 300, start: 11 } };
  outcomes.began(session(502, late.process));
  expect(ended.length).toBe(3);
  known.push(late);
  outcomes.opened(late);
  expect([ended.length, outcomes.endOf(late)]).toEqual([4, 'no space left on the disk']);
});
