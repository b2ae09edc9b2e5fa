import { readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Key } from '../harness/client.ts';
import type { Server } from '../harness/server.ts';
import { updated } from '../harness/updated.ts';
import { ACCOUNTS, type Actor } from './scene.ts';

/** Another key of the actor's account that is in force, and what removes it from the key file again. */
export const passingKey = async (
  { client, column }: Actor,
  server: Server,
): Promise<{ readonly key: Key; readonly remove: () => Promise<void> }> => {
  if (column === 'no key' || column === 'control') throw new Error('nobody to stay');
  const file = join(server.sshkeys, ACCOUNTS[column].keyFile);
  const key = await client.newKey();
  const before = await readFile(file, 'utf8');
  // This writes the file in one step. Otherwise an update that another actor asks for could find an empty file, and remove the account.
  const write = async (text: string): Promise<void> => {
    const beside = join(dirname(file), `.${basename(file)}.new`);
    await writeFile(beside, text);
    await rename(beside, file);
  };
  await write(`${before}${key.public}\n`);
  await updated(server);
  return { key, remove: () => write(before) };
};
