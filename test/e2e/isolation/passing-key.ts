import { readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
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
  // In one step: an update that another actor asks for just then would find an empty file, and take the account away.
  const write = async (text: string): Promise<void> => {
    const beside = join(dirname(file), `.${basename(file)}.new`);
    await writeFile(beside, text);
    await rename(beside, file);
  };
  await write(`${before}${key.public}\n`);
  await server.exec(['update-borgusers']);
  return { key, remove: () => write(before) };
};
