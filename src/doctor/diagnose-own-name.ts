import { hostname } from 'node:os';
import { execa } from 'execa';
import { printable } from '../text/printable.ts';
import { type Diagnosis, ok, warning } from './diagnosis.ts';

const SLOW_MS = 1000;
const PATIENCE_MS = 10_000;

/**
 * borg asks for its own name at every start (socket.getfqdn): forward and back. getent(1) asks the same way, and it can be
 * stopped; a lookup of this process cannot.
 *
 * @param patience milliseconds for both together
 */
export const diagnoseOwnName = async (patience = PATIENCE_MS): Promise<Diagnosis> => {
  const name = hostname();
  const start = performance.now();
  const left = (): number => Math.max(1, Math.ceil(patience - (performance.now() - start)));
  const ask = async (database: 'ahosts' | 'hosts', key: string): Promise<string> =>
    (
      await execa('getent', [database, '--', key], {
        timeout: left(),
        reject: false,
        stdin: 'ignore',
        stderr: 'ignore',
      })
    ).stdout;
  const [address = ''] = (await ask('ahosts', name)).split(/\s/);
  if (address !== '') await ask('hosts', address);
  const took = Math.round(performance.now() - start);
  return took < SLOW_MS
    ? ok('own name', `${printable(name)} is looked up in ${took} ms`)
    : warning(
        'own name',
        `looking up ${printable(name)} takes ${took < patience ? '' : 'more than '}${Math.min(took, patience)} ms, and each session waits for it`,
        'repair the resolver, or put the name into /etc/hosts (compose: hostname)',
      );
};
