import { expect, test } from 'vitest';
import { keepaliveFor } from '../../src/sshd/keepalive.ts';

const RELEASES = [
  'OpenSSH_9.2p1',
  'OpenSSH_9.4p1',
  'OpenSSH_9.5p1',
  'OpenSSH_9.9p2',
  'OpenSSH_10.0p2',
  'OpenSSH_10.6p1',
];
/** The interval and the count that sshd is told. */
const told = (interval: number, countMax: number, version: string): readonly number[] =>
  keepaliveFor({ CLIENT_ALIVE_INTERVAL: interval, CLIENT_ALIVE_COUNT_MAX: countMax }, version).map(
    ([, value]) => value,
  );

const intervalsToAProbe = (version: string): number => (/_9\.[234]p/.test(version) ? 2 : 1);

/** Seconds after which sshd closes the connection: one probe after the last that may stay unanswered, as measured with 9.2, 10.0 and 10.6. */
const secondsToTheEnd = (interval: number, countMax: number, version: string): number => {
  const [seconds = 0, most = 0] = told(interval, countMax, version);
  expect(Number.isInteger(seconds) && Number.isInteger(most)).toBe(true);
  expect(seconds).toBeGreaterThan(0);
  // sshd takes 0 for never.
  expect(most).toBeGreaterThan(0);
  return intervalsToAProbe(version) * seconds * (most + 1);
};

test.each(RELEASES)('%s closes the connection of a client that vanished after exactly 300 s by default', (version) => {
  expect(secondsToTheEnd(10, 30, version)).toBe(300);
  expect(intervalsToAProbe(version) * (told(10, 30, version)[0] ?? 0)).toBe(10);
});

test.each(RELEASES)('%s does so after what the settings promise, whatever they are, and hardly earlier', (version) => {
  for (const interval of [1, 2, 3, 5, 7, 10, 15, 60, 301, 86_400])
    for (const countMax of [1, 2, 3, 4, 5, 29, 30, 10_000]) {
      const promised = interval * countMax;
      const least = 2 * intervalsToAProbe(version);
      const seconds = secondsToTheEnd(interval, countMax, version);
      expect(seconds).toBeLessThanOrEqual(Math.max(promised, least));
      expect(seconds).toBeGreaterThan(promised / 2);
      if (countMax > 3) expect(seconds).toBeGreaterThanOrEqual(promised - 2 * interval);
    }
});

test('0 is never, as with sshd itself', () => {
  expect(told(0, 30, 'OpenSSH_9.2p1')).toEqual([0, 30]);
  expect(told(10, 0, 'OpenSSH_10.0p2')).toEqual([10, 0]);
});
