import { join } from 'node:path';
import { makeHostKey } from './host-key.ts';
import { IS_BUILT_HERE, seeThatThereIsOne } from './image.ts';
import { BASE_ENVIRONMENT, PROJECT } from './machine.ts';
import { run } from './program.ts';
import { TARGET } from './server.ts';

/**
 * Vitest's global set-up: installs the Debian packages that real tests need, builds the program once and, for containers, the
 * image. An image that IMAGE names must be there.
 */
export default async (): Promise<void> => {
  const base = { ...process.env, ...BASE_ENVIRONMENT };
  await run(join(PROJECT, 'image/start-without-docker'), ['--prepare'], base);
  await makeHostKey();
  if (TARGET !== 'container') return;
  if (IS_BUILT_HERE)
    await run(
      'docker',
      ['compose', '-f', join(PROJECT, 'docker-compose.yml'), '--env-file', '/dev/null', 'build'],
      base,
    );
  seeThatThereIsOne();
};
