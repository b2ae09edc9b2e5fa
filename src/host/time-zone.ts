import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { failure } from '../failure.ts';

/** Offsets from the C library, which sshd asks. */
const ZONES = '/usr/share/zoneinfo';
/**
 * Summer and winter of the years in which a key is likely to expire. For later years the C library and Node may learn of new rules at
 * different times.
 */
const MONTHS = 36;
const MONTH_SECONDS = 30 * 86_400;

/**
 * Checks that sshd and the server mean the same time: sshd refuses logins after a key's expiry-time, and the server ends sessions then. To compare
 * the names is not enough: Node brings its own zones, and where TZ is not set it finds the machine's zone in its own way.
 *
 * @param now milliseconds since the epoch
 * @throws Error with cause `{ code: 'time-zone', found, remedy }`
 */
export const checkTimeZone = async (zone: string | undefined, now: number): Promise<void> => {
  const remedy = `set TZ to the name of a zone as it is written below ${ZONES}, such as Europe/Berlin or UTC; Etc/GMT-1 is always one hour ahead of UTC`;
  const wrong = (found: string): Error =>
    failure('sshd and the server would read the time zone differently', { code: 'time-zone', found, remedy });
  if (zone !== undefined && zone !== '' && zone !== 'UTC' && !existsSync(join(ZONES, zone)))
    throw wrong(`there is no zone of this name on the machine: ${JSON.stringify(zone)}`);
  const seconds = Array.from({ length: MONTHS }, (_, month) => Math.floor(now / 1000) + month * MONTH_SECONDS);
  const { stdout } = await execa('python3', ['-I', '-c', OFFSETS, ...seconds.map(String)], { stdin: 'ignore' });
  const theirs = stdout.split(' ').map(Number);
  const at = seconds.findIndex((second, index) => theirs[index] !== offsetOf(second));
  const second = seconds[at];
  if (second === undefined) return;
  const [day] = new Date(second * 1000).toISOString().split('T');
  throw wrong(`on ${day} sshd is ${theirs[at]} s ahead of UTC, the server ${offsetOf(second)} s`);
};

const offsetOf = (second: number): number => -new Date(second * 1000).getTimezoneOffset() * 60 + 0;

/** localtime(3), as sshd calls it. */
const OFFSETS = 'import sys, time; print(*(time.localtime(int(each)).tm_gmtoff for each in sys.argv[1:]))';
