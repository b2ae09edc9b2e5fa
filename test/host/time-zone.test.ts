import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const script = join(import.meta.dirname, 'run-time-zone.ts');
const check = async (env: Record<string, string>, before = 'true'): Promise<string> => {
  // In a mount namespace of its own, so that the machine's zone can be another one there.
  const words = ['--mount', 'sh', '-c', `${before} && exec "$0" "$@"`, process.execPath, script];
  const { stdout } = await execa('unshare', words, { extendEnv: false, env: { PATH: process.env.PATH ?? '', ...env } });
  return stdout;
};

test.each(['Europe/Berlin', 'UTC', 'America/New_York', 'Asia/Kathmandu', 'CET', 'Etc/GMT+5'])(
  'sshd and the server read %s the same',
  async (TZ) => expect(await check({ TZ })).toBe('same'),
);

test('the machine’s own zone counts where TZ is not set', async () => {
  expect(await check({})).toBe('same');
});

test.each(['europe/berlin', 'Foo/Bar', 'CET-1CEST', '<+03>-3', ':Europe/Berlin'])(
  'a name that is no zone of the machine is told, although sshd and the server may both take it for UTC: %s',
  async (TZ) => expect(JSON.parse(await check({ TZ }))).toMatchObject({ code: 'time-zone' }),
);

test.each([
  ['of the machine', {}, '/etc/localtime'],
  ['that is named', { TZ: 'Europe/Berlin' }, '/usr/share/zoneinfo/Europe/Berlin'],
])('a zone %s that the C library reads differently is told', async (_which, env, file) => {
  const found = await check(env, `mount --bind /usr/share/zoneinfo/Asia/Kathmandu "$(readlink -f ${file})"`);
  expect(JSON.parse(found)).toMatchObject({ code: 'time-zone', found: expect.stringContaining('20700 s') });
});
