import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, ClientOptions } from './client.ts';
import { until } from './machine.ts';
import type { Finished } from './program.ts';
import { contents } from './repository-files.ts';
import type { Server } from './server.ts';

const PIECE = 1_000_000;

export type RunningBackup = {
  /** Sends the second half, and resolves with how borg ended. */
  finish(): Promise<Finished>;
  /** Extracts the archive and resolves with whether every byte is the one that was sent. */
  isWhole(): Promise<boolean>;
};

/**
 * Starts a backup of random bytes that stops halfway, with data on the server and the session open, until `finish`.
 *
 * @param megabytes of each half; more than borg's largest chunk, so that something has been written
 */
export const startBackup = async (
  server: Server,
  client: Client,
  account: string,
  archive: string,
  { megabytes = 10, ...options }: ClientOptions & { readonly megabytes?: number } = {},
): Promise<RunningBackup> => {
  const url = client.url(account);
  const sent = createHash('sha256');
  const borg = client.borg(['create', `${url}::${archive}`, '-'], { ...options, input: 'pipe', reject: false });
  let ended = false;
  const end = borg.then(() => {
    ended = true;
  });
  const send = async () => {
    // A borg that has ended reads no more. The test looks at how it ended.
    for (let piece = 0; piece < megabytes && !ended; piece += 1) {
      const bytes = randomBytes(PIECE);
      sent.update(bytes);
      if (borg.stdin?.write(bytes) === false) await Promise.race([once(borg.stdin, 'drain').catch(() => {}), end]);
    }
  };
  const before = (await contents(join(server.repos, account))).size;
  await send();
  await until(
    'the backup to write',
    async (saw) => saw((await contents(join(server.repos, account)).catch(() => new Map())).size) > before,
  );
  return {
    finish: async () => {
      await send();
      borg.stdin?.end();
      return borg;
    },
    isWhole: async () => {
      const folder = await mkdtemp(join(client.home, 'restored-'));
      await client.borg(['extract', `${url}::${archive}`], { ...options, cwd: folder });
      const restored = createHash('sha256');
      for await (const bytes of createReadStream(join(folder, 'stdin'))) restored.update(bytes);
      return restored.digest('hex') === sent.digest('hex');
    },
  };
};
