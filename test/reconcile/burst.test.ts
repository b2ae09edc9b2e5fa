import { writeFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { askServer, controlSocket } from '../../src/control/client.ts';
import { startControlServer } from '../../src/control/server.ts';
import { watchTree } from '../../src/keys/watch.ts';
import type { PassReport } from '../../src/reconcile/pass.ts';
import { createScheduler, type Scheduler } from '../../src/reconcile/scheduler.ts';
import { realClock } from '../../src/system/clock.ts';
import { keyNumber } from '../accounts/any.ts';
import { until } from '../e2e/harness/machine.ts';
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

/** Milliseconds of CPU that this thread has used. On a busy machine the clock shows more, but this does not. */
const used = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

/** Returns a function that tells how much this thread has worked at most since then, in milliseconds of CPU, before the event loop went on. */
const longestAbsence = (): (() => number) => {
  let last = used();
  let longest = 0;
  const timer = setInterval(() => {
    longest = Math.max(longest, used() - last);
    last = used();
  }, 5);
  undo.push(() => clearInterval(timer));
  return () => longest;
};

it('ten thousand changes in the tree are a few passes, of which the last sees the last change', async () => {
  const paths = Array.from({ length: 200 }, (_, number) => join(scratch.places.sshkeys, `repos/web${number}`));
  for (const path of paths) writeFileSync(path, line(99));
  // Before anybody watches: an event would interrupt this pass.
  const unused = used();
  await scheduler.now({ occasion: 'asked', dryRun: false });
  const pass = used() - unused;
  const watch = watchTree(scratch.places.sshkeys, {
    polling: false,
    onEvent: scheduler.changed,
    onFault: (error) => expect.unreachable(error.message),
  });
  undo.push(watch.close);
  await until('the first pass of the watch', () => passes.length > 1);
  const before = passes.length;
  const absence = longestAbsence();
  for (let round = 0; round < 50; round += 1)
    await Promise.all(
      paths.map((path, index) => (round === 49 && index > 0 ? rm(path) : writeFile(path, line(round)))),
    );
  await until('the last change to be seen', (saw) => {
    const [account, ...others] = saw([...scratch.running().values()]);
    return account?.name === 'web0' && account.keys[0]?.comment === 'key49' && others.length === 0;
  });
  // Each takes some time, and all events of that time are one pass. On a slower machine each takes longer, so there are not more of them.
  expect(passes.length - before).toBeLessThan(200);
  // Others wait for some passes at most. A pass may look at all accounts.
  expect(absence()).toBeLessThan(20 * pass);
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
