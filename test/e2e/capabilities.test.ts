import { execFileSync } from 'node:child_process';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { putHostKey } from './harness/host-key.ts';
import { IMAGE } from './harness/image.ts';
import { BASE_ENVIRONMENT, freePort, makeData, PROJECT } from './harness/machine.ts';
import { PATIENCE_SECONDS } from './harness/patience.ts';
import { type Finished, run } from './harness/program.ts';
import { onlyOn } from './harness/server.ts';

// Each capability in the compose file is there because something fails without it. The server refuses to start without it.
// So the test runs the programs that need it by themselves, and sees what fails.

const ACCOUNT = 10_000;

/** Each deed is one thing that the server or its sshd does. A deed that fails prints its name. No deed depends on another. */
const DEEDS = `
deed() { name=$1; shift; "$@" >/dev/null 2>&1 || echo "$name"; }
deed 'give a folder to its account'              chown ${ACCOUNT}:${ACCOUNT} /repos/new
deed 'set the mode of a folder of an account'    chmod 0750 /repos/web01
deed 'set the setgid bit for a group'            sh -c 'chmod 2770 /repos/shared && test -g /repos/shared'
deed 'read the key file of somebody'             cat /sshkeys/repos/web01
mkfifo /tmp/begun
setpriv --reuid ${ACCOUNT} sh -c 'echo; exec sleep 60' >/tmp/begun 2>/dev/null &
if read -r _ </tmp/begun; then deed 'end what runs as an account' kill $!; fi
mkdir -p /run/sshd && ssh-keygen -qt ed25519 -N '' -f /run/key </dev/null
printf 'SSH-2.0-x\\r\\n' | /usr/sbin/sshd -i -e -f /dev/null -h /run/key 2>&1 >/dev/null | sed -n 's/^\\([a-z]*\\).*: Operation not permitted.*/sshd: \\1/p'
`;

/** Capability → what fails without it, and what the server says of that. */
const NEEDED: Readonly<Record<string, { readonly fails: string; readonly said: string }>> = {
  CHOWN: { fails: 'give a folder to its account', said: 'repositories cannot be given to their accounts' },
  DAC_OVERRIDE: { fails: 'read the key file of somebody', said: 'keys and repositories of other owners' },
  FOWNER: { fails: 'set the mode of a folder of an account', said: 'the modes of repositories cannot be set' },
  FSETID: { fails: 'set the setgid bit for a group', said: 'the setgid bit of a folder is dropped' },
  KILL: { fails: 'end what runs as an account', said: 'sessions of a key that is gone cannot be ended' },
  SETGID: { fails: 'sshd: setgroups', said: 'nobody can log in' },
  SETUID: { fails: 'sshd: setresuid', said: 'nobody can log in' },
  SYS_CHROOT: { fails: 'sshd: chroot', said: 'nobody can log in' },
};

onlyOn('namespace', () =>
  test('without KILL the server refuses to start, and says why', async () => {
    const data = await makeData();
    const without = ['--inh-caps=-kill', '--bounding-set=-kill'];
    const start = join(PROJECT, 'image/start-without-docker');
    const { exitCode, stdout, stderr } = await run(
      'timeout',
      [PATIENCE_SECONDS, 'setpriv', ...without, start],
      BASE_ENVIRONMENT,
      {
        env: { DATA_DIR: data.folder, SSH_PORT: String(await freePort()) },
        reject: false,
      },
    );
    await data.remove();
    expect(exitCode).toBe(1);
    expect(stdout + stderr).toContain(`without the capability KILL ${NEEDED.KILL?.said}`);
  }),
);

onlyOn('container', () =>
  describe('the capabilities of the container', () => {
    let data: Awaited<ReturnType<typeof makeData>>;
    let given: readonly string[];

    beforeAll(async () => {
      data = await makeData();
      const compose = ['compose', '--env-file', '/dev/null', '-f', join(PROJECT, 'docker-compose.yml')];
      const read = execFileSync('docker', [...compose, 'config', '--format', 'json'], { env: BASE_ENVIRONMENT });
      given = JSON.parse(read.toString()).services.borgserver.cap_add;
      await mkdir(join(data.sshkeys, 'repos'));
      await writeFile(join(data.sshkeys, 'repos/web01'), '', { mode: 0o600 });
      await chown(join(data.sshkeys, 'repos/web01'), 1000, 1000);
    });
    afterAll(() => data?.remove());

    /** Runs words as root in a container as the compose file makes it, with these capabilities only and folders of its own. */
    const contain = async (
      capabilities: readonly string[],
      name: string,
      [entry = '', ...words]: readonly string[],
      options: readonly string[] = [],
    ): Promise<Finished> => {
      const repos = join(data.folder, `repos-${name}`);
      for (const [folder, uid, gid] of [
        ['', 0, 0],
        ['new', 0, 0],
        ['web01', ACCOUNT, ACCOUNT],
        ['shared', 0, ACCOUNT],
      ] as const) {
        await mkdir(join(repos, folder));
        await chown(join(repos, folder), uid, gid);
      }
      const rights = ['--cap-drop', 'ALL', ...capabilities.flatMap((each) => ['--cap-add', each])];
      const folders = ['--tmpfs', '/run:mode=0755', '--tmpfs', '/tmp:mode=1777', '--tmpfs', '/var/lib/extrausers'];
      // Each server has a folder of its own: two that start at once in one folder would remove each other's half-made host keys.
      const host = join(data.folder, `host-${name}`);
      await mkdir(host);
      await putHostKey(host);
      const binds = ['-v', `${data.sshkeys}:/sshkeys`, '-v', `${host}:/sshkeys/host`, '-v', `${repos}:/repos`];
      return run(
        'docker',
        [
          ...['run', '--rm', '--init', '--read-only', '--security-opt', 'no-new-privileges:true'],
          ...[...rights, ...folders, ...binds, ...options, '--entrypoint', entry, IMAGE, ...words],
        ],
        BASE_ENVIRONMENT,
        { reject: false },
      );
    };

    test('are those that the server needs, and suffice', async () => {
      expect([...given].sort()).toEqual(Object.keys(NEEDED).sort());
      expect((await contain(given, 'all', ['sh', '-c', DEEDS])).stdout).toBe('');
    });

    test.concurrent.for(Object.entries(NEEDED))('without %s one thing fails', async ([name, { fails }], { expect }) => {
      const rest = Object.keys(NEEDED).filter((each) => each !== name);
      expect((await contain(rest, `${name}-tried`, ['sh', '-c', DEEDS])).stdout).toBe(`${fails}\n`);
    });

    test.concurrent.for(Object.entries(NEEDED))(
      'without %s the server refuses to start, and says why',
      async ([name, { said }], { expect }) => {
        const rest = Object.keys(NEEDED).filter((each) => each !== name);
        const { exitCode, stdout, stderr } = await contain(rest, name, [
          'timeout',
          PATIENCE_SECONDS,
          'borgserver',
          'sshd',
        ]);
        expect(exitCode).toBe(1);
        expect(stdout + stderr).toContain(`without the capability ${name} ${said}`);
      },
    );

    // As in Podman and Kubernetes: there only a process with this capability may listen on a low port.
    describe('where a low port needs a capability', () => {
      // Each look starts a program as large as the server, and takes the cores from it.
      const UNTIL_HEALTHY =
        'borgserver sshd & until borgserver healthcheck || ! kill -0 $!; do sleep 1; done; kill $!; wait';
      const START = ['timeout', PATIENCE_SECONDS, 'borgserver', 'sshd'];
      const CLOSED = ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=1024'];

      test('the start ends in one sentence that names the cures', async () => {
        const { exitCode, stdout, stderr } = await contain(given, 'port', START, CLOSED);
        expect(exitCode).toBe(1);
        const said = (stdout + stderr).split('\n').filter((line) => line.includes('ERROR'));
        expect(said).toHaveLength(1);
        for (const cure of ['SSH_PORT=2222', 'NET_BIND_SERVICE', 'net.ipv4.ip_unprivileged_port_start=22'])
          expect(said[0]).toContain(cure);
      });

      test.concurrent.for([
        ['SSH_PORT=2222', [], ['-e', 'SSH_PORT=2222']],
        ['NET_BIND_SERVICE', ['NET_BIND_SERVICE'], []],
        ['the sysctl', [], ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=22']],
      ] as const)('each cure works: %s', async ([name, more, options], { expect }) => {
        const folder = `port-${name.replace(/\W/g, '-')}`;
        const closed = name === 'the sysctl' ? [] : CLOSED;
        const rights = [...given, ...more];
        const { stdout, stderr } = await contain(rights, folder, ['sh', '-c', UNTIL_HEALTHY], [...closed, ...options]);
        expect(stdout, stderr).toMatch(/^healthy\b/m);
      });
    });
  }),
);
