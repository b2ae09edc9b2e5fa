import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { grant } from './harness/key-files.ts';
import { letsIn, lockedOut } from './harness/logging-in.ts';
import { client, ownServer, server } from './harness/own-server.ts';

// All clients of a test have one address, like clients behind a NAT or Docker's gateway. OpenSSH 9.2 punishes nobody. OpenSSH 10.0
// punishes by one class of penalties, 10.3 and newer by another.

ownServer({}, async () => {
  await grant(server, 'repos/well', client.key);
});

/** Tries more often than any class of penalties needs until it counts. Each try begins as soon as the one before was refused. */
const goesOnTrying = async (account: string, of: Client): Promise<void> => {
  const inTurn = async () => {
    for (let tries = 0; tries < 12; tries += 1) expect(await letsIn(of, account)).toBe(false);
  };
  await Promise.all([inTurn(), inTurn(), inTurn(), inTurn()]);
};

test('a client that goes on trying after its key file was removed keeps out nobody else at its address', async () => {
  const removed = await createClient(server);
  try {
    await grant(server, 'repos/removed', removed.key);
    expect(await letsIn(removed, 'removed')).toBe(true);
    await rm(join(server.sshkeys, 'repos/removed'));
    await lockedOut(removed, 'removed');
    await goesOnTrying('removed', removed);
    expect(await letsIn(client, 'well')).toBe(true);
  } finally {
    await removed.cleanup();
  }
});

test('neither does a client whose key does not belong to the account', async () => {
  const wrong = await createClient(server);
  try {
    await goesOnTrying('well', wrong);
    expect(await letsIn(client, 'well')).toBe(true);
  } finally {
    await wrong.cleanup();
  }
});

test('doctor knows all that this sshd punishes', async () => {
  const { stdout } = await server.exec(['borgserver', 'doctor', '--json'], { reject: false });
  const lines: { topic: string }[] = JSON.parse(stdout);
  expect(lines.filter(({ topic }) => topic === 'penalties')).toEqual([]);
  expect(lines.length).toBeGreaterThan(0);
});
