import type { Settings } from '../settings.ts';

/** The two options as sshd names them; ClientAliveInterval is in seconds. */
export type Keepalive = readonly (readonly ['ClientAliveInterval' | 'ClientAliveCountMax', number])[];

/** A client needs the time between two probes to answer the first. */
const LEAST_PROBES = 2;
/** These releases have a bug (`>` for `>=` in serverloop.c): a probe comes only after twice the interval. Release notes of OpenSSH 9.5. */
const DOUBLED = { from: 902, to: 904 };

/**
 * The options with which every release of sshd closes the connection of a vanished client after the product of the two settings in seconds, or a
 * little earlier. It takes at least two probes of one second each (four seconds where a probe takes two intervals). sshd closes the connection
 * one probe after the last that may stay unanswered. If either setting is 0, it never closes it, as in sshd.
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
