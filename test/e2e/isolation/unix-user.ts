import { basename } from 'node:path';
import { until } from '../harness/machine.ts';
import { open, requests } from '../harness/raw-borg.ts';
import type { Verdict } from './cells.ts';
import type { Try } from './other-repositories.ts';
import { sessionOf } from './processes.ts';
import type { Actor, Scene } from './scene.ts';

/**
 * Runs each command as the account's Unix user with its groups, with nothing of borg or sshd between.
 *
 * @param gid the command of a shell that prints the primary group; it gets the account's name as $1. By default it is the group of the login
 *
 * @throws Error where some commands can be run and some cannot
 */
const asUnixUser = async (
  { account }: Actor,
  { server }: Scene,
  commands: Readonly<Record<string, string>>,
  gid = 'id -g "$1"',
): Promise<Verdict> => {
  const tries = Object.entries(commands).map(([name, command]) => `( ${command} ) >/dev/null 2>&1 && echo ${name}`);
  const script = `id -u "$1" && exec setpriv --reuid="$(id -u "$1")" --regid="$(${gid})" --groups="$(id -G "$1" | tr " " ,)" sh -c "$2"`;
  const { stdout, stderr } = await server.exec(['sh', '-c', script, 'sh', account, [...tries, 'id -u'].join('; ')], {
    reject: false,
  });
  const [uid, ...lines] = stdout.trim().split('\n');
  const who = lines.pop();
  if (who !== uid) throw new Error(`not run as ${account}: ${stdout}${stderr}`);
  if (lines.length === 0) return 'refused';
  if (lines.length === tries.length) return 'allowed';
  throw new Error(`${account} can ${lines.join(', ')} of ${Object.keys(commands).join(', ')}`);
};

export const unixOther: Try = (actor, scene) =>
  asUnixUser(actor, scene, {
    list: `ls '${actor.victim}'`,
    read: `cat '${actor.victim}/config'`,
    change: `touch '${actor.victim}/data' && : >>'${actor.victim}/config'`,
    add: `mkdir '${actor.victim}/added' && rmdir '${actor.victim}/added'`,
  });

export const unixList: Try = (actor, scene) =>
  asUnixUser(actor, scene, {
    list: 'ls /repos',
    make: 'mkdir /repos/made && rmdir /repos/made',
    rename: `mv '${top(actor)}' '${top(actor)}-2' && mv '${top(actor)}-2' '${top(actor)}'`,
  });

/** The actor's own folder in /repos. */
const top = ({ own }: Actor): string => own.split('/').slice(0, 3).join('/');

export const unixServer: Try = async (actor, scene) => {
  const verdict = await asUnixUser(actor, scene, {
    'host-keys': 'cat /sshkeys/host/ssh_host_ed25519_key',
    'served-host-keys': 'cat /run/borgserver/*/*ed25519*key || cat /run/borgserver/*ed25519*key',
    config: 'cat /run/borgserver/sshd_config',
    'change-config': ': >>/run/borgserver/sshd_config',
    'change-keys': `: >>/run/borgserver/authorized_keys/${basename(actor.victim)}`,
    'change-tree': 'touch /sshkeys/admins/intruder && rm /sshkeys/admins/intruder',
    'change-accounts': ': >>/var/lib/extrausers/passwd',
    'read-shadow': 'cat /var/lib/extrausers/shadow',
    'server-state': 'ls /repos/.borgserver',
    // This succeeds for root. If the server has looked in between, it has made an empty folder there, which is replaced.
    rename: `mv '${actor.victim}' '${actor.victim}-2' && mv -T '${actor.victim}-2' '${actor.victim}'`,
    ask: 'test -w /run/borgserver/control.sock && test -x /run/borgserver',
  });
  // Then the server reports that the repository was gone, until somebody confirms it.
  if (verdict === 'allowed')
    await scene.server.exec(['update-borgusers', '--confirm', basename(actor.victim)], { reject: false });
  return verdict;
};

/** The key files tell whose the keys are, what their owners wrote about them, and from which addresses they are accepted. */
export const unixKeys: Try = (actor, scene) =>
  asUnixUser(actor, scene, { read: `cat /run/borgserver/authorized_keys/${basename(actor.victim)}` });

export const unixProcesses: Try = async (actor, scene) => {
  const { owner, victim } = actor;
  const session = owner.client.ssh(owner.account, ['borg serve'], { input: 'pipe', reject: false });
  try {
    session.stdin?.write(requests(open(victim, { lock: false })));
    const pid = await until('the session of the owner', () => sessionOf(scene.server, owner.account));
    // The kernel shows an environment to the same user and group. A hosted session has the account's own group, whose number is its uid.
    const has = await scene.server.exec([
      'sh',
      '-c',
      `sed -n 's/^[UG]id:.//p' /proc/${pid}/status | cut -f 1 | uniq | wc -l`,
    ]);
    const gid = has.stdout.trim() === '1' ? 'id -u "$1"' : undefined;
    const commands = { signal: `kill -0 ${pid}`, environment: `cat /proc/${pid}/environ` };
    return await asUnixUser(actor, scene, commands, gid);
  } finally {
    session.stdin?.end();
    await session;
  }
};

export const unixNames: Try = (actor, scene) =>
  asUnixUser(actor, scene, {
    passwd: `getent passwd '${basename(actor.victim)}'`,
    all: 'cat /var/lib/extrausers/passwd',
  });
