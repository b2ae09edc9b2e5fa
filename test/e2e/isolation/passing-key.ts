import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Key } from '../harness/client.ts';
import type { Server } from '../harness/server.ts';
import { ACCOUNTS, type Actor } from './scene.ts';

/** Another key of the actor's account, in force, and what takes it out of the key file again. */
export const passingKey = async (
  { client, column }: Actor,
  server: Server,
): Promise<{ readonly key: Key; readonly remove: () => Promise<void> }> => {
  if (column === 'no key' || column === 'control') throw new Error('nobody to stay');
  const file = join(server.sshkeys, ACCOUNTS[column].keyFile);
  const key = await client.newKey();
  const before = await readFile(file, 'utf8');
  await writeFile(file, `${before}${key.public}\n`);
  await server.exec(['update-borgusers']);
  return { key, remove: () => writeFile(file, before) };
};
