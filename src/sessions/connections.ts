import { readdirSync, readFileSync } from 'node:fs';

/** The root process of one connection, after authentication: ending it ends everything that runs over the connection. */
export type Connection = { readonly pid: number; readonly account: string };

/**
 * Lists live, authenticated connections by the titles sshd gives its monitor processes: `sshd: NAME [priv]` (9.2) and
 * `sshd-session: NAME [priv]` (9.8 and later). Only root's processes count: a tenant cannot have a title of its own, but
 * nothing should depend on that.
 */
export const listConnections = (proc = '/proc'): readonly Connection[] =>
  readdirSync(proc)
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const title = read(`${proc}/${entry}/cmdline`).replace(/\0[\s\S]*$/, '');
      const account = /^sshd(?:-session)?: ([A-Za-z0-9_][A-Za-z0-9_.-]*) \[priv\]\s*$/.exec(title)?.[1];
      if (account === undefined || !/^Uid:\t0\t/m.test(read(`${proc}/${entry}/status`))) return [];
      return [{ pid: Number(entry), account }];
    });

/** '' for a process that has ended meanwhile. */
const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};
