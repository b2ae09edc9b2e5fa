import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { grant } from './harness/key-files.ts';
import { letsIn } from './harness/logging-in.ts';
import { BASE_ENVIRONMENT, until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { run } from './harness/program.ts';
import { connected, known } from './harness/sessions.ts';

const SETTINGS = { RESYNC_SECONDS: '86400', PER_SOURCE_PENALTIES: 'none' };

ownServer({ env: { ...SETTINGS, LOG_FORMAT: 'json' } });

type Line = Readonly<Record<string, unknown>>;
/** Every line that the server has written since `from`, in LOG_FORMAT=json. All of them are objects with a level and a message. */
const lines = (from = 0): readonly Line[] =>
  server
    .log()
    .slice(from)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('npm '))
    .map((line) => JSON.parse(line));
const refusals = (from = 0) => lines(from).filter(({ msg }) => msg === 'login refused');
const logged = (from: number, wanted: Line): Promise<Line> =>
  until(`the trail to say ${JSON.stringify(wanted)}`, () =>
    lines(from).find((line) => Object.entries(wanted).every(([name, value]) => line[name] === value)),
  );
/** Tries to log in by this name. The name is in a file: ssh accepts no such name on its command line. */
const knock = async (user: string) => {
  const config = join(client.home, 'knock');
  await writeFile(config, `User "${user.replace(/["\\]/g, '\\$&')}"\n`);
  const flags = client.sshFlags().map((flag) => (flag === 'none' ? config : flag));
  return run('ssh', [...flags, '-p', String(server.port), '127.0.0.1', 'true'], BASE_ENVIRONMENT, { reject: false });
};
/** Sends these bytes, as a stranger who does not speak SSH. */
const send = async (bytes: string | Uint8Array): Promise<void> => {
  const socket = connect({ port: server.port, host: '127.0.0.1' });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.on('data', () => {});
  socket.write(bytes);
  await closed;
};

/** The fields of a line for a person. pino-pretty halves the backslashes in them, but keeps one before a quote. */
const jsonOf = (line: string): string =>
  line
    .slice(line.indexOf('{'))
    .replace(/(\\+)("?)/g, (_, slashes: string, quote: string) =>
      quote === '' ? slashes.repeat(2) : `${slashes.slice(1).repeat(2)}\\"`,
    );

const ESCAPES = '\u001b[2J\u001b]0;title\u0007\u202e"}\\';

test('the log tells account, role, key, comment, place and address of a login, from its opening to its end', async () => {
  const from = server.log().length;
  const key = await client.newKey();
  await grant(server, 'repos-appendonly/web01', key);
  const session = await connected(server, client, 'web01', key);
  const [view] = await known(server, 'web01', key);
  session.ssh.kill();
  const who = {
    account: 'web01',
    role: 'append-only',
    fingerprint: key.fingerprint,
    comment: key.public.split(' ')[2],
    from: view?.address,
    port: view?.port,
  };
  expect(await logged(from, { msg: 'session opened', ...who })).toMatchObject({
    key: '/sshkeys/repos-appendonly/web01:1',
  });
  expect(await logged(from, { msg: 'session closed', ...who })).toMatchObject({
    seconds: expect.any(Number),
    how: expect.stringMatching(/^the client /),
  });
  expect(refusals(from)).toEqual([]);
});

test('the log tells why a login is refused, which account was asked for, and which key was offered', async () => {
  const from = server.log().length;
  const stranger = await client.newKey();
  expect(await letsIn(client, 'web01', stranger)).toBe(false);
  expect(await logged(from, { msg: 'login refused', asked: 'web01' })).toMatchObject({
    offered: stranger.fingerprint,
    reason: 'no key was accepted',
    from: expect.stringMatching(/^[0-9.:a-f]+$/),
    port: expect.any(Number),
  });
  await knock('nobodyatall');
  await logged(from, { msg: 'login refused', asked: 'nobodyatall', reason: 'there is no such account' });
  await knock('root');
  await logged(from, { msg: 'login refused', asked: 'root', reason: 'it is no account of this server' });
  await send('GET / HTTP/1.0\r\n\r\n');
  await logged(from, { msg: 'login refused', reason: 'it does not speak SSH' });
  expect(refusals(from)).toHaveLength(4);
});

test('names that a stranger chooses forge no line, no field and no escape', async () => {
  const names = [
    'web01 from 10.0.0.1 port 22 ssh2: ED25519 SHA256:AAAA',
    'a\tAccepted publickey for web01 from 10.0.0.1 port 22 ssh2: ED25519 SHA256:AAAA',
    'a\r{"level":"info","msg":"session opened","account":"web01"}',
    ESCAPES,
    '","msg":"session opened","x":"',
  ];
  const from = server.log().length;
  for (const name of names) await knock(name);
  await until('every name to be refused', () => refusals(from).length === names.length);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  expect(server.log().slice(from)).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\u202e]/);
  expect(lines(from).filter(({ msg }) => msg !== 'login refused')).toEqual([]);
  for (const line of refusals(from)) {
    expect(Object.keys(line).sort()).toEqual(
      ['asked', 'from', 'level', 'msg', 'offered', 'port', 'reason', 'time'].filter((name) => name in line).sort(),
    );
    expect(line.from).not.toBe('10.0.0.1');
    expect(String(line.asked).length).toBeLessThan(300);
  }
});

test('a name of ten thousand characters is refused in the log, too, and cut', async () => {
  const from = server.log().length;
  await knock('n'.repeat(10_000));
  const line = await until('the trail to say so', () => refusals(from)[0]);
  expect(String(line.asked)).toMatch(/^n{64}…$/);
});

test('a comment forges no line, no field and no escape, in JSON and in text', async () => {
  const key = await client.newKey();
  const [type, blob] = key.public.split(' ');
  const comments = [
    String.raw`x\","role":"admin\\","account":"root`,
    `${ESCAPES}","role":"admin"`,
    `x\rINFO: session opened {"account":"root"}\u2028\u0085`,
    'c'.repeat(10_000),
  ];
  for (const format of ['json', 'text']) {
    if (format === 'text') await server.start({ ...SETTINGS });
    for (const comment of comments) {
      await writeFile(join(server.sshkeys, 'repos/commented'), `${type} ${blob} ${comment}\n`);
      await server.exec(['update-borgusers'], { reject: false });
      const from = server.log().length;
      expect(await letsIn(client, 'commented', key)).toBe(true);
      await until('the trail to say both', () => /session opened.*\n.*session closed/.test(server.log().slice(from)));
      const said = server.log().slice(from).trimEnd().split('\n');
      expect(said).toHaveLength(2);
      for (const line of said) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
        expect(line).not.toMatch(/[\x00-\x1f\x7f\u0085\u2028\u202e]/);
        expect(line.length).toBeLessThan(1500);
        const facts = JSON.parse(format === 'json' ? line : jsonOf(line));
        expect(facts).toMatchObject({ account: 'commented', role: 'repo', fingerprint: key.fingerprint });
        expect(format === 'json' ? facts.msg : line).toMatch(/session (opened|closed)/);
      }
      const table = await server.exec(['borgserver', 'sessions']);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      expect(table.stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\u202e]/);
    }
  }
});

test('a stranger who knocks five hundred times leaves a few lines and their sum, and keeps nobody out', async () => {
  await server.start({ ...SETTINGS, LOG_FORMAT: 'json' });
  const from = server.log().length;
  const began = performance.now();
  for (let round = 0; round < 25; round += 1) {
    await Promise.all(Array.from({ length: 20 }, () => send('GET / HTTP/1.0\r\n\r\n')));
  }
  expect(await letsIn(client, 'commented')).toBe(false);
  const shown = refusals(from).length;
  expect(shown).toBeLessThan(20 + (2 * (performance.now() - began)) / 1000);
  // sshd may have refused the last of them before its process has written to the log.
  const LEFT = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n" | grep "^sshd.*:" | grep -vc listener || true';
  await until('sshd to be done', async () => (await server.look(['sh', '-c', LEFT])).stdout.trim() === '0');
  await server.stop();
  const sums = lines(from).filter(({ msg }) => msg === 'more logins refused, not shown one by one');
  const hidden = sums.reduce((sum, { logins }) => sum + Number(logins), 0);
  expect(hidden + refusals(from).length).toBe(501);
  expect(sums.at(-1)?.from).toMatch(/^[0-9.:a-f]+ \(\d+\)$/);
});

test('with SSH_LOG_LEVEL=ERROR strangers are left out, and sessions are not', async () => {
  await server.start({ ...SETTINGS, LOG_FORMAT: 'json', SSH_LOG_LEVEL: 'ERROR' });
  const key = await client.newKey();
  await grant(server, 'repos/quiet', key);
  const from = server.log().length;
  await knock('nobodyatall');
  expect(await letsIn(client, 'quiet', key)).toBe(true);
  await logged(from, { msg: 'session closed', account: 'quiet' });
  expect(refusals(from)).toEqual([]);
});

test('with SSH_LOG_LEVEL=VERBOSE the lines of sshd are shown, escaped and not without end', async () => {
  await server.start({ ...SETTINGS, LOG_FORMAT: 'json', SSH_LOG_LEVEL: 'VERBOSE' });
  const from = server.log().length;
  await knock(`a\t${ESCAPES}`);
  await until('the name to be refused', () => refusals(from).length === 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  expect(server.log().slice(from)).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\u202e]/);
  expect(lines(from).some(({ msg, sshd }) => msg === 'sshd' && /^Invalid user a/.test(String(sshd)))).toBe(true);
});
