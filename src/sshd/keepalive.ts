import type { Settings } from '../settings.ts';

/** What sshd is told, by its names: the first in seconds. */
export type Keepalive = readonly (readonly ['ClientAliveInterval' | 'ClientAliveCountMax', number])[];

/** A client needs the time between two probes to answer the first. */
const LEAST_PROBES = 2;
/** The math of these was wrong (`>` for `>=` in serverloop.c): a probe comes after twice the interval. Release notes of OpenSSH 9.5. */
const DOUBLED = { from: 902, to: 904 };

/**
 * What makes sshd close the connection of a client that vanished after as many seconds as the two settings come to together, or a little earlier, with every release; never less than two probes of a second later (where a probe takes two intervals, four). sshd itself
 * closes it one probe after the last that may stay unanswered. Where either is 0, it never does, as with sshd.
 *
 * @param version as sshd says it: OpenSSH_9.2p1
 */
export const keepaliveFor = (
  {
    CLIENT_ALIVE_INTERVAL: wanted,
    CLIENT_ALIVE_COUNT_MAX: times,
  }: Pick<Settings, 'CLIENT_ALIVE_INTERVAL' | 'CLIENT_ALIVE_COUNT_MAX'>,
  version: string,
): Keepalive => {
  const seconds = wanted * times;
  if (seconds === 0) return inWords(wanted, times);
  const intervals = isDoubled(version) ? 2 : 1;
  const interval = Math.max(1, Math.floor(Math.min(wanted, seconds / LEAST_PROBES) / intervals));
  const probes = Math.max(LEAST_PROBES, Math.floor(seconds / (interval * intervals)));
  return inWords(interval, probes - 1);
};

const inWords = (interval: number, countMax: number): Keepalive => [
  ['ClientAliveInterval', interval],
  ['ClientAliveCountMax', countMax],
];

const isDoubled = (version: string): boolean => {
  const [, major, minor] = /^OpenSSH_(\d+)\.(\d+)/.exec(version) ?? [];
  const release = 100 * Number(major) + Number(minor);
  return release >= DOUBLED.from && release <= DOUBLED.to;
};
