import { chmod, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { BASE_ENVIRONMENT, freePort, greets, until } from '../harness/machine.ts';
import { run } from '../harness/program.ts';
import type { Server } from '../harness/server.ts';
import type { Verdict } from './cells.ts';
import type { Try } from './other-repositories.ts';
import { environmentOf, there } from './running.ts';
import { type Actor, sshWith } from './scene.ts';
import { agree, judge } from './verdict.ts';

/** The port of sshd as it is seen from the server itself. */
const inside = ({ column, port }: Actor, server: Server): number =>
  column !== 'control' && server.target === 'container' ? 22 : port;

/** `ssh -N` with these flags while `look` looks whether it leads anywhere; what the client was told. */
const during = async (
  actor: Actor,
  flags: readonly string[],
  look: (ended: () => boolean) => Promise<boolean>,
): Promise<{ readonly effect: boolean; readonly said: string }> => {
  let over = false;
  const ssh = sshWith(actor, [...flags, '-o', 'LogLevel=INFO', '-N'], []);
  ssh.then(() => {
    over = true;
  });
  try {
    const effect = await look(() => over);
    ssh.kill();
    return { effect, said: (await ssh).stderr };
  } finally {
    ssh.kill();
  }
};

export const forwardLocal: Try = async (actor, { server }) => {
  const target = inside(actor, server);
  const direct = await actor.client.ssh(actor.account, [], {
    flags: ['-W', `127.0.0.1:${target}`],
    // sshd ends the connection when something else answers its greeting.
    input: 'no ssh\r\n',
    reject: false,
  });
  const [port, socks] = [await freePort(), await freePort()];
  const flags = ['-L', `127.0.0.1:${port}:127.0.0.1:${target}`, '-D', `127.0.0.1:${socks}`];
  // This is SOCKS4 to 127.0.0.1. The answer may be the refusal, never sshd's greeting.
  const connectCommand = Buffer.of(4, 1, target >> 8, target & 255, 127, 0, 0, 1, 0);
  const verdicts: Record<string, Verdict> = {};
  const through: Record<string, boolean> = {};
  const { said: told } = await during(actor, flags, async (ended) => {
    through['-L'] = (await said(port, ended)).includes('SSH-2.0');
    through['-D'] = (await said(socks, ended, connectCommand)).includes('SSH-2.0');
    return true;
  });
  verdicts['-W'] = judge(direct.stdout.includes('SSH-2.0'), direct.stderr, PROHIBITED);
  for (const [way, effect] of Object.entries(through)) verdicts[way] = judge(effect, told, PROHIBITED);
  return agree(verdicts);
};

const PROHIBITED = /administratively prohibited|stdio forwarding failed/;
const REMOTE_FAILED = /remote port forwarding failed|forwarding request failed|forwarding failed/;

export const forwardRemote: Try = async (actor) => {
  const port = await freePort();
  const flags = ['-o', 'ExitOnForwardFailure=yes', '-R', `127.0.0.1:${port}:127.0.0.1:${actor.port}`];
  const { effect, said: told } = await during(actor, flags, (ended) =>
    until('the remote port, or a refusal', async () => (await greets(port)) || (ended() && 'refused')).then(
      (found) => found === true,
    ),
  );
  return judge(effect, told, REMOTE_FAILED);
};

export const forwardSocket: Try = async (actor, { plain, server }) => {
  // The kernel would let the account use these sockets, so that it is sshd that refuses.
  const [folder, path] = actor.column === 'control' ? [plain.folder, plain.folder] : [server.repos, '/repos'];
  const socket = `.${actor.account}.sock`;
  const echo = createServer((connection: Socket) => connection.on('error', () => {}).end('answered\n'));
  await new Promise<void>((resolve) => echo.listen(join(folder, socket), resolve));
  await chmod(join(folder, socket), 0o777);
  const remote = join(actor.home, 'remote.sock');
  try {
    const port = await freePort();
    const control = await freePort();
    const sockets = [`127.0.0.1:${port}:${path}/${socket}`, `127.0.0.1:${control}:/run/borgserver/control.sock`];
    const local = await during(
      actor,
      sockets.flatMap((each) => ['-L', each]),
      async (ended) => {
        if ((await said(control, ended, Buffer.from('{"command":"ping"}\n'))) !== '')
          throw new Error('the daemon answers');
        return (await said(port, ended)) !== '';
      },
    );
    const place = `${path}${remote.slice(folder.length)}`;
    const flags = ['-o', 'ExitOnForwardFailure=yes', '-R', `${place}:127.0.0.1:${actor.port}`];
    const back = await during(actor, flags, (ended) =>
      until('the remote socket, or a refusal', async () => (await there(remote)) || (ended() && 'refused')).then(
        (found) => found === true,
      ),
    );
    return agree({
      '-L': judge(local.effect, local.said, /open failed: (administratively prohibited|connect failed: open failed)/),
      '-R': judge(back.effect, back.said, REMOTE_FAILED),
    });
  } finally {
    await rm(remote, { force: true });
    echo.close();
  }
};

/** Opens a session, and looks whether it has got what was asked for beside it. */
const OPENED = /server_version/;

export const forwardAgent: Try = async (actor, { server }) => {
  const socket = join(actor.client.home, 'agent');
  const agent = run('ssh-agent', ['-D', '-a', socket], BASE_ENVIRONMENT, { reject: false });
  try {
    await until('the agent', () => there(socket));
    const flags = ['-A', '-o', `IdentityAgent=${socket}`];
    const { variables, said: told } = await environmentOf(actor, server, flags, { SSH_AUTH_SOCK: socket });
    return judge(variables.includes('SSH_AUTH_SOCK='), told, OPENED);
  } finally {
    agent.kill();
    await agent;
    await rm(socket, { force: true });
  }
};

export const forwardX11: Try = async (actor, { server }) => {
  const { variables, said: told } = await environmentOf(actor, server, ['-Y', '-o', 'LogLevel=INFO'], {
    DISPLAY: ':99',
  });
  return judge(variables.includes('DISPLAY='), told, /X11 forwarding request failed/);
};

/** The number of the server's interface. No other interface has it. */
const TUNNEL = 91;

export const forwardTunnel: Try = async (actor, { server }) => {
  const devices = async (): Promise<string> =>
    actor.column === 'control'
      ? readFile('/proc/net/dev', 'utf8')
      : (await server.look(['cat', '/proc/net/dev'])).stdout;
  // A client says what the server has told it of the refusal only with DEBUG1.
  const flags = ['-o', 'LogLevel=DEBUG1', '-o', 'ExitOnForwardFailure=yes', '-w', `any:${TUNNEL}`];
  const { effect, said: told } = await during(actor, flags, (ended) =>
    until(
      'the tunnel, or a refusal',
      async () => (await devices()).includes(`tun${TUNNEL}:`) || (ended() && 'refused'),
    ).then((found) => found === true),
  );
  return judge(effect, told, /Server has rejected tunnel device forwarding/);
};

/** What the other end of a local port says before it closes; nothing if the tunnel has ended before. */
const said = async (port: number, ended: () => boolean, first?: Buffer): Promise<string> => {
  const socket = await until('the tunnel', async () => (await connected(port)) ?? (ended() && 'ended'));
  if (socket === 'ended') return '';
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      // A greeting has arrived: no need to wait for an end that may not come.
      if (text.includes('\n')) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    if (first) socket.write(first);
  });
};

const connected = (port: number) =>
  new Promise<Socket | undefined>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
