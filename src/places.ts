import { join } from 'node:path';

/** Where everything is. On a server always the same; tests use a scratch root. */
export type Places = {
  /** The operator's key tree. */
  readonly sshkeys: string;
  /** The repositories, side by side. */
  readonly repos: string;
  /** Server state that outlives the container, below repos. */
  readonly state: string;
  /** Root-owned run-time state: sshd's configuration, authorized keys, the control socket. World-searchable. */
  readonly run: string;
  /** The passwd, group and shadow files of libnss-extrausers. */
  readonly extrausers: string;
  /** The machine's own account database, read only. */
  readonly etc: string;
};

export const placesBelow = (root: string): Places => ({
  sshkeys: join(root, 'sshkeys'),
  repos: join(root, 'repos'),
  state: join(root, 'repos/.borgserver'),
  run: join(root, 'run/borgserver'),
  extrausers: join(root, 'var/lib/extrausers'),
  etc: join(root, 'etc'),
});

/** The places of a running server. */
export const PLACES: Places = placesBelow('/');
