import { afterAll, expect, test } from 'vitest';
import { createClient } from './harness/client.ts';
import { grant } from './harness/key-files.ts';
import { letsIn } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { type Server, startServer } from './harness/server.ts';

let server: Server | undefined;
afterAll(() => server?.cleanup());

/** Starts with these settings. The start must be refused. Returns what it says. */
const refusal = async (env: Record<string, string>): Promise<string> => {
  const seen = server?.log().length ?? 0;
  if (server) await server.start(env, { ready: false });
  else server = await startServer({ env, ready: false });
  expect(await server.ended()).not.toBe(0);
  return server.log().slice(seen);
};

const serving = async (env: Record<string, string>): Promise<Server> => {
  if (server) await server.start(env);
  else server = await startServer({ env });
  return server;
};

test('all wrong settings are told at once, and the start is refused', async () => {
  const said = await refusal({
    STOP_ON: 'sometimes',
    WATCH: 'closely',
    RESYNC_SECONDS: '0',
    PUID: '0',
    UID_RANGE: '20000-10000',
    LOG_FORMAT: 'xml',
    MAX_STARTUPS: '-1',
    STOP_GRACE_SECONDS: '1.5',
    TZ: 'CET-1CEST',
  });
  for (const name of [
    'STOP_ON',
    'WATCH',
    'RESYNC_SECONDS',
    'PUID',
    'UID_RANGE',
    'LOG_FORMAT',
    'MAX_STARTUPS',
    'STOP_GRACE_SECONDS',
    'TZ',
  ]) {
    expect(said).toMatch(new RegExp(`${name}: must be `));
  }
});

test.for([
  [{ PUID: '499', PGID: '100' }, [/PUID: must be 500 or more/, /PGID: must be 500 or more/]],
  [{ PUID: '10000', PGID: '770' }, [/PUID: 10000 lies in UID_RANGE/, /PGID: 770 is the group borg-repo/]],
  [{ UID_RANGE: '100-60000' }, [/UID_RANGE: must be FIRST-LAST/]],
] as const)('%j is refused in clear sentences', async ([env, reasons]) => {
  const said = await refusal(env);
  for (const reason of reasons) expect(said).toMatch(reason);
});

test('extra arguments that would widen access, or are none, are refused at the start, all at once', async () => {
  const said = await refusal({
    REPO_SERVE_EXTRA_ARGS: '--restrict-to-path / --umask 0000 --storage-quota 0',
    APPENDONLY_SERVE_EXTRA_ARGS: '--restrict-to-repository=/repos --restrict-to-pa /; $(id)',
    ADMIN_SERVE_EXTRA_ARGS: "--lock-wait '1",
  });
  for (const reason of [
    /REPO_SERVE_EXTRA_ARGS: --restrict-to-path is refused/,
    /REPO_SERVE_EXTRA_ARGS: --umask is refused/,
    /REPO_SERVE_EXTRA_ARGS: --storage-quota must be at least 10M/,
    /APPENDONLY_SERVE_EXTRA_ARGS: --restrict-to-repository is refused/,
    /APPENDONLY_SERVE_EXTRA_ARGS: '--restrict-to-pa' is an abbreviation/,
    /APPENDONLY_SERVE_EXTRA_ARGS: '\$\(id\)' is not an option/,
    /ADMIN_SERVE_EXTRA_ARGS: has a quote that is not closed/,
  ]) {
    expect(said).toMatch(reason);
  }
});

test('sound extra arguments reach borg serve', async () => {
  const running = await serving({
    REPO_SERVE_EXTRA_ARGS: '--append-only --lock-wait 7',
    APPENDONLY_SERVE_EXTRA_ARGS: '--storage-quota 20G',
  });
  const config = (await running.exec(['cat', '/run/borgserver/sshd_config.repositories'])).stdout;
  expect(config).toMatch(/restrict-to-repository.*--append-only --lock-wait=7/);
  expect(config).toMatch(/--append-only.*--storage-quota=20G/);
});

test('with LOG_FORMAT=json the log is JSON, line by line, also where sshd or a stranger speaks', async () => {
  const running = await serving({ LOG_FORMAT: 'json', SSH_LOG_LEVEL: 'DEBUG3', LOG_LEVEL: 'debug' });
  const seen = running.log().lastIndexOf('{"level":"info"');
  expect(seen).toBeGreaterThan(-1);
  const client = await createClient(running);
  try {
    await grant(running, 'repos/web01', client.key);
    expect(await letsIn(client, 'web01')).toBe(true);
    await client.ssh('no\nbody {"level":"error"}', ['x'], { reject: false });
    await until('sshd to be heard', () => /"sshd"/.test(running.log()));
    await running.stop();
    const lines = running.log().split('\n');
    const json = lines.slice(lines.findIndex((line) => line.startsWith('{'))).filter((line) => line !== '');
    expect(json.length).toBeGreaterThan(10);
    for (const line of json)
      expect(JSON.parse(line)).toMatchObject({
        level: expect.any(String),
        time: expect.any(String),
        msg: expect.any(String),
      });
  } finally {
    await client.cleanup();
  }
});

test('with SSH_LOG_LEVEL=QUIET logins go on', async () => {
  const running = await serving({ SSH_LOG_LEVEL: 'QUIET' });
  const client = await createClient(running);
  try {
    await grant(running, 'repos/web01', client.key);
    expect(await letsIn(client, 'web01')).toBe(true);
  } finally {
    await client.cleanup();
  }
});

test('TZ is the time zone of the log and of sessions', async () => {
  const running = await serving({ TZ: 'Asia/Kathmandu' });
  expect((await running.exec(['date', '+%z'])).stdout).toBe('+0545\n');
  // Kathmandu has been at 5:45 since 1986, and the log says the hour and minute there.
  const there = new Date(Date.now() + (5 * 60 + 45) * 60_000).toISOString();
  const said = running.log().trim().split('\n').at(-1) ?? '';
  expect(said.slice(1, 12)).toBe(`${there.slice(0, 10)} `);
  const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
  expect(Math.abs(minutes(said.slice(12, 17)) - minutes(there.slice(11, 16)))).toBeLessThan(5);
});

test('admins have PUID and PGID as their ids', async () => {
  const running = await serving({ PUID: '5001', PGID: '5002' });
  const client = await createClient(running);
  try {
    await grant(running, 'admins/ops', client.key);
    expect((await running.exec(['id', 'ops'])).stdout).toMatch(/^uid=5001.* gid=5002/);
    expect((await running.exec(['stat', '-c', '%u:%g %a', '/repos'])).stdout).toBe('0:5002 1771\n');
    await client.borg(['init', '--encryption', 'none', client.url('ops', 'made-by-ops')]);
    expect((await running.exec(['stat', '-c', '%u', '/repos/made-by-ops'])).stdout).toBe('5001\n');
  } finally {
    await client.cleanup();
  }
});
