import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Key } from './client.ts';
import type { Server } from './server.ts';
import { updated } from './updated.ts';

/** Writes a key file, such as `repos/web01`, with these keys, and lets the server take it up at once. */
export const grant = async (server: Server, path: string, ...keys: readonly Key[]): Promise<void> => {
  await writeKeyFile(server, path, ...keys);
  await updated(server);
};

/** Writes a key file and does no more: for several at once, before one `update-borgusers`. */
export const writeKeyFile = async (server: Server, path: string, ...keys: readonly Key[]): Promise<void> => {
  const file = join(server.sshkeys, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, keys.map((key) => `${key.public}\n`).join(''));
};
