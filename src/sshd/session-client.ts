import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RoleGroup } from '../accounts/role.ts';
import { shippedFile } from '../host/shipped.ts';
import { writeFileAtomically } from '../host/write.ts';

/** The small program that hands a session to the session host, as absolute paths. */
export type SessionClient = {
  readonly perl: string;
  readonly program: string;
  /** The number of sendmsg(2) on this machine. */
  readonly sendmsg: number;
};

const PROGRAM = 'session-client';

/** Debian's perl-base, without which no Debian is (Essential: yes). */
const PERL = '/usr/bin/perl';

/** By Node's name of the machine, of those whose pointers have 64 bits (asm/unistd.h, unistd_64.h). */
export const SENDMSG: Readonly<Partial<Record<NodeJS.Architecture, number>>> = {
  x64: 46,
  arm64: 211,
  riscv64: 211,
  loong64: 211,
  ppc64: 341,
  s390x: 370,
};

/** Below the run folder, where tenants can read it. The host makes the folders (image/launcher/host.py). */
export const DOORS = 'sessions';

/** Where the client of a role finds the host: only who has the role's group gets there. */
export const doorOf = (run: string, group: RoleGroup): string => join(run, DOORS, group.name, 'door');

/** What a forced command does: hands over at this door, null where it does not; and the command of a cold start. */
export type ForcedCommand = { readonly door: string | null; readonly cold: string };

/** Reads a forced command of this server's (config.ts) back: its last word is the command of a cold start, as shellQuote writes it. */
export const readForcedCommand = (command: string): ForcedCommand => {
  const [, door, quoted] = /^exec \S+ \S+\/session-client \d+ (\S+) "\$USER" '(.*)'$/s.exec(command) ?? [];
  if (door === undefined || quoted === undefined) return { door: null, cold: command };
  return { door, cold: quoted.replaceAll("'\\''", "'") };
};

/**
 * Puts the client below the run folder, root's and readable for all.
 *
 * @returns null where this machine has no perl, or is of a kind that the client does not know
 * @throws what shippedFile throws, and the system's errors
 */
export const installSessionClient = (run: string): SessionClient | null => {
  const sendmsg = SENDMSG[process.arch];
  if (sendmsg === undefined || !existsSync(PERL)) return null;
  const program = join(run, PROGRAM);
  writeFileAtomically(program, readFileSync(shippedFile(PROGRAM)), { mode: 0o644 });
  return { perl: PERL, program, sendmsg };
};
