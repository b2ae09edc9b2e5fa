import { chmodSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askServer, controlSocket } from '../../src/control/client.ts';
import type { Health } from '../../src/control/protocol.ts';
import { startControlServer } from '../../src/control/server.ts';

const HEALTH: Health = { state: 'serving', lastPassFailed: null, port: 22, alarms: [] };

let run: string;
let server: { close: () => void } | null;
let sockets: Socket[];
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'borgserver-'));
  server = null;
  sockets = [];
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server?.close();
  rmSync(run, { recursive: true, force: true });
});

const listen = async (answer: Parameters<typeof startControlServer>[1] = async () => HEALTH): Promise<void> => {
  server = await startControlServer(controlSocket(run), answer);
};
const open = (): Socket => {
  const socket = connect(controlSocket(run)).setEncoding('utf8');
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
};
/** What comes back for these bytes, until the server ends the connection. */
const exchange = (bytes: string | Buffer): Promise<string> =>
  new Promise((resolve) => {
    let received = '';
    const socket = open();
    socket.on('data', (chunk) => {
      received += String(chunk);
    });
    socket.on('close', () => resolve(received));
    socket.on('end', () => socket.end());
    socket.write(bytes);
  });

describe('the control socket', () => {
  it.each([0o022, 0o000, 0o077])('is root’s alone under umask %o, and leaves the umask as it was', async (umask) => {
    const before = process.umask(umask);
    try {
      await listen();
      expect(process.umask()).toBe(umask);
    } finally {
      process.umask(before);
    }
    const { mode, uid } = lstatSync(controlSocket(run));
    expect([(mode & 0o777).toString(8), uid]).toEqual(['600', 0]);
  });

  it('answers a question', async () => {
    await listen();
    expect(await askServer(run, { command: 'ping' })).toEqual(HEALTH);
  });

  it('hands on what was asked, and only what is known', async () => {
    const asked: unknown[] = [];
    await listen(async (request) => {
      asked.push(request);
      return HEALTH;
    });
    await askServer(run, { command: 'update', dryRun: true });
    await exchange('{"command":"ping","__proto__":{"x":1},"more":2}\n');
    expect(asked).toEqual([{ command: 'update', dryRun: true }, { command: 'ping' }]);
  });

  it.each([
    '\n',
    'rubbish\n',
    '{}\n',
    '[]\n',
    'null\n',
    '{"command":"shell"}\n',
    '{"command":"update"}\n',
    '{"command":"update","dryRun":"yes"}\n',
    '\u0000\u0001\n',
    '{"command":"ping"\n',
  ])('answers rubbish with an error of one line: %j', async (request) => {
    const answer = vi.fn(async () => HEALTH);
    await listen(answer);
    const text = await exchange(request);
    expect(text.match(/\n/g)).toHaveLength(1);
    expect(Object.keys(JSON.parse(text))).toEqual(['error']);
    expect(answer).not.toHaveBeenCalled();
  });

  it('cuts off a request that is huge, with or without an end, and acts on none of it', async () => {
    const answer = vi.fn(async () => HEALTH);
    await listen(answer);
    const padding = ' '.repeat(1024 * 1024);
    expect(await exchange(padding)).toBe('');
    expect(await exchange(`{"command":"update","dryRun":false${padding}}\n`)).toBe('');
    expect(await exchange(`${' '.repeat(65_530)}{"command":"update","dryRun":false}\n`)).toBe('');
    expect(answer).not.toHaveBeenCalled();
    expect(await askServer(run, { command: 'ping' })).toEqual(HEALTH);
  });

  it('takes a request that comes in pieces, and only the first of two', async () => {
    const answer = vi.fn(async () => HEALTH);
    await listen(answer);
    const socket = open();
    const answered = new Promise<string>((resolve) => socket.on('data', (chunk) => resolve(String(chunk))));
    for (const piece of ['{"com', 'mand":"pi', 'ng"}', '\n{"command":"ping"}\n']) {
      await new Promise((resolve) => socket.write(piece, resolve));
      await new Promise(setImmediate);
    }
    expect(JSON.parse(await answered)).toEqual(HEALTH);
    expect(answer).toHaveBeenCalledTimes(1);
  });

  it('is not held up by clients that never end their line, never read, or go away', async () => {
    const huge = { ...HEALTH, padding: 'x'.repeat(8 * 1024 * 1024) };
    let answers = 0;
    await listen(async (request) => {
      answers += 1;
      return request.command === 'update' ? huge : HEALTH;
    });
    for (let client = 0; client < 20; client += 1) open().write('{"command":');
    for (let client = 0; client < 5; client += 1) {
      const deaf = open();
      deaf.pause();
      deaf.write('{"command":"update","dryRun":false}\n');
      const gone = open();
      gone.write('{"command":"update","dryRun":false}\n', () => gone.destroy());
    }
    await expect.poll(() => answers).toBeGreaterThanOrEqual(5);
    expect(await askServer(run, { command: 'ping' })).toEqual(HEALTH);
  });

  it('answers 200 requests at once', async () => {
    await listen();
    const replies = await Promise.all(Array.from({ length: 200 }, () => askServer(run, { command: 'ping' })));
    expect(replies).toEqual(Array.from({ length: 200 }, () => HEALTH));
  });

  it('turns new clients away while 500 are connected, and says why', async () => {
    await listen();
    const idle = Array.from({ length: 500 }, open);
    await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    await expect(askServer(run, { command: 'ping' })).rejects.toThrow('500 clients are connected');
    const silent = open();
    await new Promise((resolve) => silent.resume().once('end', resolve));
    for (const socket of idle) socket.destroy();
    await expect.poll(() => askServer(run, { command: 'ping' })).toEqual(HEALTH);
  });

  it('tells what went wrong in the server', async () => {
    await listen(async () => {
      throw new Error('the disk is full');
    });
    await expect(askServer(run, { command: 'update', dryRun: false })).rejects.toThrow('the disk is full');
  });

  it('replaces the socket that a killed server has left', async () => {
    await listen();
    const left = server;
    await listen();
    expect(await askServer(run, { command: 'ping' })).toEqual(HEALTH);
    left?.close();
  });
});

describe('asking', () => {
  it('where no server runs has no answer', async () => {
    expect(await askServer(run, { command: 'ping' })).toBeNull();
    await listen();
    server?.close();
    expect(await askServer(run, { command: 'ping' })).toBeNull();
  });

  it('fails with the system’s error where the place cannot be used', async () => {
    writeFileSync(controlSocket(run), '');
    chmodSync(controlSocket(run), 0o600);
    await expect(askServer(join(run, 'x'.repeat(200)), { command: 'ping' })).rejects.toThrow();
  });
});
