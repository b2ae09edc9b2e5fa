import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { NOT_OF_THE_RELEASE } from './not-of-the-release.ts';

const PROJECT = join(import.meta.dirname, '..');

/** What a release changes: sshd's settings and log, the launcher, the session host, and borg that runs inside the server. */
const OF_THE_RELEASE =
  /sshd_config|SSH_LOG_LEVEL|login refused|session closed|borg-serve|session.host|SESSION_HOST|\/opt\/borg|onlyOn\('container'/;

it.each(NOT_OF_THE_RELEASE)('%s tests nothing that depends on the release of borg, OpenSSH or Python', (file) => {
  expect(existsSync(join(PROJECT, file))).toBe(true);
  expect(readFileSync(join(PROJECT, file), 'utf8')).not.toMatch(OF_THE_RELEASE);
});
