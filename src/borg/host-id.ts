import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { failure } from '../failure.ts';
import { writeFileAtomically } from '../host/write.ts';
import type { Places } from '../places.ts';
import { readOwnFile } from '../system/plain-file.ts';

/**
 * One word for sshd's SetEnv line and for borg. borg names locks HOSTID.PID-THREAD and splits them from the right
 * (borg/locking.py). An operator may have put another id there.
 */
const FORM = /^[A-Za-z0-9][A-Za-z0-9@_.-]{7,99}$/;
const MAX_BYTES = 200;

/**
 * The id in borg's locks instead of a host name and MAC address (BORG_HOST_ID). It lies beside the repositories, so that a new
 * container or new hardware takes the locks of the old one for its own. The first call makes it. The caller must hold the lease.
 *
 * @throws Error with cause `{ code: 'bad-host-id', path, found }`: with another id the locks of the old one would be alive for
 *   ever; the system's error where the file can neither be read nor made
 */
export const readHostId = (places: Places): string => {
  const path = join(places.state, 'host-id');
  const found = readOwnFile(path, MAX_BYTES);
  if (found.kind !== 'none') {
    const text = found.kind === 'file' ? found.text : '';
    const id = text.trimEnd();
    if (FORM.test(id)) return id;
    throw failure(
      'the host id is damaged: write the old one there (locks in the repositories are named after it), or remove the file and break old locks with borg break-lock',
      { code: 'bad-host-id', path, found: text },
    );
  }
  const id = `borgserver-${randomBytes(16).toString('hex')}`;
  // World-readable: it is no secret, since every session has it in its environment.
  writeFileAtomically(path, `${id}\n`, { mode: 0o644, durable: true });
  return id;
};
