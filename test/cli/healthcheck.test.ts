import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runHealthcheck } from '../../src/cli/healthcheck.ts';
import { askServer, controlSocket } from '../../src/control/client.ts';
import { startControlServer } from '../../src/control/server.ts';
import { placesBelow } from '../../src/places.ts';
import type { Alarm } from '../../src/sessions/alarms.ts';

let root: string;
let said: string[];
const ends: (() => void)[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'healthcheck-'));
  mkdirSync(placesBelow(root).run, { recursive: true });
  said = [];
  vi.spyOn(console, 'log').mockImplementation((text: string) => void said.push(text));
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

/** Something that listens on a port of its own. */
const listen = (onConnection: (socket: Socket) => void): Promise<number> =>
  new Promise((resolve) => {
    const server: Server = createServer(onConnection);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address && typeof address === 'object' ? address.port : 0);
    });
    ends.push(() => server.close());
  });

const daemon = async (
  port: number,
  lastPassFailed: string | null = null,
  state = 'serving',
  alarms: readonly Alarm[] = [],
): Promise<void> => {
  const control = await startControlServer(controlSocket(placesBelow(root).run), async () => ({
    ...{ state, lastPassFailed, port, alarms },
  }));
  ends.push(control.close);
};

const check = async (): Promise<string> => `${await runHealthcheck(placesBelow(root))} ${said.join()}`;

test('a server is healthy if it answers, its last update did not fail, and its sshd greets', async () => {
  await daemon(await listen((socket) => socket.end('SSH-2.0-OpenSSH_10.0\r\n')));
  expect(await check()).toBe('0 healthy');
});

test('a server is not healthy without a daemon, while it stops, or after an update that failed', async () => {
  expect(await check()).toBe('1 the server does not run');
  said = [];
  await daemon(1, null, 'stopping');
  expect(await check()).toBe('1 the server is stopping');
  ends.pop()?.();
  said = [];
  await daemon(1, 'the disk is full');
  expect(await check()).toBe('1 the last update failed: the disk is full');
});

test('a server is not healthy for some minutes after its log and the kernel did not agree', async () => {
  const port = await listen((socket) => socket.end('SSH-2.0-OpenSSH_10.0\r\n'));
  await daemon(port, null, 'serving', [{ what: 'a login that\u001b nobody sees', times: 1, last: Date.now() }]);
  expect(await check()).toBe('1 a login that\\u{1b} nobody sees (see the log, and borgserver doctor)');
  ends.pop()?.();
  said = [];
  await daemon(port, null, 'serving', [{ what: 'long ago', times: 1, last: Date.now() - 3_600_000 }]);
  expect(await check()).toBe('0 healthy');
});

test('a server is not healthy if nobody listens on its port, another program does, or sshd hangs up', async () => {
  const port = await listen((socket) => socket.end('220 smtp\r\n'));
  await daemon(port);
  expect(await check()).toBe(`1 what answers on port ${port} is not sshd`);
  ends.pop()?.();
  said = [];
  const hangsUp = await listen((socket) => socket.destroy());
  await daemon(hangsUp);
  expect(await check()).toContain(`port ${hangsUp}`);
  ends.pop()?.();
  said = [];
  const silent = await listen((socket) => socket.end());
  await daemon(silent);
  expect(await check()).toContain(`1 sshd hangs up on port ${silent}`);
  ends.pop()?.();
  ends.pop()?.();
});

test('whoever asks a daemon that hangs does not hang', async () => {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(controlSocket(placesBelow(root).run), resolve));
  ends.push(() => server.close());
  await expect(askServer(placesBelow(root).run, { command: 'ping' }, 50)).rejects.toThrow('the server does not answer');
});
