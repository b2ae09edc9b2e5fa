import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RoleGroup } from '../accounts/role.ts';
import { shippedFile } from '../host/shipped.ts';
import { writeFileAtomically } from '../host/write.ts';
import { PERL } from '../system/perl.ts';

/** The small program that hands a session to the session host, as absolute paths. */
export type SessionClient = {
  readonly perl: string;
  readonly program: string;
  /** The number of sendmsg(2) on this machine. */
  readonly sendmsg: number;
};

const PROGRAM = 'session-client';

/** By Node's name of the architecture; only those with 64-bit pointers (asm/unistd.h, unistd_64.h). */
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

/** The socket at which the client of a role reaches the host. Only a process with the role's group can reach it. */
export const doorOf = (run: string, group: RoleGroup): string => join(run, DOORS, group.name, 'door');

/** A forced command: the door at which it hands over its session, null if it does not; and the command of a cold start. */
export type ForcedCommand = { readonly door: string | null; readonly cold: string };

/** Reads back a forced command that this server has written (config.ts). Its last word is the command of a cold start, as shellQuote writes it. */
export const readForcedCommand = (command: string): ForcedCommand => {
  const [, door, quoted] = /^exec \S+ \S+\/session-client \d+ (\S+) "\$USER" '(.*)'$/s.exec(command) ?? [];
  if (door === undefined || quoted === undefined) return { door: null, cold: command };
  return { door, cold: quoted.replaceAll("'\\''", "'") };
};

/**
 * Puts the client below the run folder. It belongs to root, and everybody can read it.
 *
 * @returns null if this machine has no perl, or the client does not know its architecture
 * @throws what shippedFile throws, and the system's errors
 */
export const installSessionClient = (run: string): SessionClient | null => {
  const sendmsg = SENDMSG[process.arch];
  if (sendmsg === undefined || !existsSync(PERL)) return null;
  const program = join(run, PROGRAM);
  writeFileAtomically(program, readFileSync(shippedFile(PROGRAM)), { mode: 0o644 });
  return { perl: PERL, program, sendmsg };
};
