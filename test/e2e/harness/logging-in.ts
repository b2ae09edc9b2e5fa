import type { Client, Key } from './client.ts';
import { until } from './machine.ts';
import type { Finished } from './program.ts';

const ask = (client: Client, account: string, key: Key) =>
  client.ssh(account, ['borg', '--version'], { key, reject: false });
const isIn = ({ stdout }: Finished): boolean => stdout.startsWith('borg ');

/** Whether the account lets this key in now. */
export const letsIn = async (client: Client, account: string, key: Key = client.key): Promise<boolean> =>
  isIn(await ask(client, account, key));

/** Resolves once the account lets the key in. */
export const letIn = (client: Client, account: string, key: Key = client.key): Promise<true> =>
  until(`${account} to let the key in`, async (saw) => isIn(saw(await ask(client, account, key))));

/** Resolves once the account does not let the key in. */
export const lockedOut = (client: Client, account: string, key: Key = client.key): Promise<true> =>
  until(`${account} to lock the key out`, async (saw) => !isIn(saw(await ask(client, account, key))));
