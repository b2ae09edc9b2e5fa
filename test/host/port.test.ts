import { createSocket } from 'node:dgram';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { checkNobodyListens, checkPort } from '../../src/host/port.ts';

const CHECK = join(import.meta.dirname, 'check-port.ts');

// Some machines have no IPv6.
const ADDRESSES = ['0.0.0.0', '127.0.0.1', '::1'].filter((address) =>
  Object.values(networkInterfaces()).some(
    (each) => address === '0.0.0.0' || each?.some((own) => own.address === address),
  ),
);

/** What the check says in a network of its own. The low ports there are root's, as in Podman. */
const check = async (port: number, rights: string): Promise<string> => {
  const { stdout } = await execa('unshare', [
    ...['--net', 'setpriv', `--bounding-set=${rights}`, `--inh-caps=${rights}`],
    ...[process.execPath, CHECK, String(port)],
  ]);
  return stdout;
};

test('a low port without the right to it ends in one sentence that names every cure', async () => {
  const said = await check(22, '-net_bind_service');
  for (const cure of ['port 22 ', 'SSH_PORT=2222', 'NET_BIND_SERVICE', 'net.ipv4.ip_unprivileged_port_start=22'])
    expect(said).toContain(cure);
  expect(said).not.toContain('\n');
});

test('with the right, or on a high port, there is nothing to say', async () => {
  expect(await check(22, '+net_bind_service')).toBe('may');
  expect(await check(2222, '-net_bind_service')).toBe('may');
});

test.each(ADDRESSES)(
  'a port on which somebody listens at %s is refused, since sshd would take the rest',
  async (host) => {
    const server = createServer();
    try {
      await new Promise<void>((resolve) => server.listen(0, host, resolve));
      const { port } = server.address() as AddressInfo;
      expect(() => checkNobodyListens(port)).toThrow(`somebody listens on port ${port} already`);
    } finally {
      server.close();
    }
  },
);

test('a port that somebody uses in another way is no concern of the check: sshd tells it', async () => {
  await checkPort(0);
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve) => socket.bind(0, resolve));
    await checkPort(socket.address().port);
  } finally {
    socket.close();
  }
});
