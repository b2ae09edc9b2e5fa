import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { STILLNESS_MS } from '../../../src/accounts/stillness.ts';
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

/**
 * Writes a key file anew as some editors do: it is empty for a moment.
 *
 * @returns whether that moment was so short that the server may not take anything away. On a busy machine it may last longer.
 */
export const rewriteInPlace = async (server: Server, path: string, ...keys: readonly Key[]): Promise<boolean> => {
  const file = await open(join(server.sshkeys, path), 'r+');
  const begun = performance.now();
  await file.truncate(0);
  await setTimeout(0.6 * STILLNESS_MS);
  await file.write(keys.map((key) => `${key.public}\n`).join(''), 0);
  const took = performance.now() - begun;
  await file.close();
  return took < STILLNESS_MS;
};
