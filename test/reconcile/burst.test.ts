import { rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { askServer, controlSocket } from '../../src/control/client.ts';
import { startControlServer } from '../../src/control/server.ts';
import { watchTree } from '../../src/keys/watch.ts';
import type { PassReport } from '../../src/reconcile/pass.ts';
import { createScheduler, type Scheduler } from '../../src/reconcile/scheduler.ts';
import { realClock } from '../../src/system/clock.ts';
import { keyNumber } from '../accounts/any.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

const line = (number: number): string => `${keyNumber(number).type} ${keyNumber(number).blob} key${number}\n`;

let scratch: ScratchRoot;
let scheduler: Scheduler;
let passes: PassReport[];
let undo: (() => unknown)[];
beforeEach(() => {
  scratch = scratchRoot();
  passes = [];
  undo = [];
  const pass = scratch.server();
  scheduler = createScheduler({
    pass: async () => {
      const report = await pass();
      passes.push(report);
      return report;
    },
    onReport: () => {},
    onFailure: () => {},
    resyncSeconds: 3600,
    clock: realClock,
  });
});
afterEach(async () => {
  for (const each of undo) await each();
  await scheduler.close();
  scratch.remove();
});

/** Returns a function that tells how long the event loop was away at most since then, in milliseconds. */
const longestAbsence = (): (() => number) => {
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  undo.push(() => clearInterval(timer));
  return () => longest;
};

it('ten thousand changes in the tree are a few passes, of which the last sees the last change', async () => {
  const watch = watchTree(scratch.places.sshkeys, {
    polling: false,
    onEvent: scheduler.changed,
    onFault: (error) => expect.unreachable(error.message),
  });
  undo.push(watch.close);
  await vi.waitFor(() => expect(passes.length).toBeGreaterThan(0));
  const before = passes.length;
  const absence = longestAbsence();
  const paths = Array.from({ length: 200 }, (_, number) => join(scratch.places.sshkeys, `repos/web${number}`));
  for (let round = 0; round < 50; round += 1)
    await Promise.all(
      paths.map((path, index) => (round === 49 && index > 0 ? rm(path) : writeFile(path, line(round)))),
    );
  await vi.waitFor(
    () => {
      const [account, ...others] = [...scratch.running().values()];
      expect([account?.name, account?.keys[0]?.comment, others.length]).toEqual(['web0', 'key49', 0]);
    },
    { timeout: 20_000, interval: 50 },
  );
  // Each takes some time, and all events of that time are one pass.
  expect(passes.length - before).toBeLessThan(200);
  expect(absence()).toBeLessThan(5000);
});

it('two hundred updates that are asked for at once are all answered by a few passes, whoever else uses the socket', async () => {
  const update = async (): Promise<unknown> => ({
    ...(await scheduler.now({ occasion: 'asked', dryRun: false })),
    recent: [],
  });
  const server = await startControlServer(controlSocket(scratch.places.run), update);
  const sockets: Socket[] = [];
  undo.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const open = (bytes: string): Socket => {
    const socket = connect(controlSocket(scratch.places.run));
    socket.on('error', () => {});
    socket.write(bytes);
    sockets.push(socket);
    return socket;
  };
  for (let client = 0; client < 20; client += 1) {
    open('{"command":"update","dryRun":false}\n').pause();
    open('{"command":');
    open('garbage\n');
    open('x'.repeat(1 << 20));
  }
  scratch.declare('repos/web01', line(1));
  const asked = Array.from({ length: 200 }, () => askServer(scratch.places.run, { command: 'update', dryRun: false }));
  const replies = await Promise.all(asked);
  for (const reply of replies) expect(reply?.accounts.map(({ name }) => name)).toEqual(['web01']);
  expect(passes.length).toBeLessThan(100);
});
