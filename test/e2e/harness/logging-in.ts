import type { Client, Key } from './client.ts';
import { until } from './machine.ts';

/** Whether the account lets this key in now. */
export const letsIn = async (client: Client, account: string, key: Key = client.key): Promise<boolean> => {
  const { stdout } = await client.ssh(account, ['borg', '--version'], { key, reject: false });
  return stdout.startsWith('borg ');
};

/** Resolves once the account lets the key in. */
export const letIn = (client: Client, account: string, key: Key = client.key): Promise<true> =>
  until(`${account} to let the key in`, () => letsIn(client, account, key));

/** Resolves once the account does not let the key in. */
export const lockedOut = (client: Client, account: string, key: Key = client.key): Promise<true> =>
  until(`${account} to lock the key out`, async () => !(await letsIn(client, account, key)));
