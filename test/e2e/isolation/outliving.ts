import { until } from '../harness/machine.ts';
import { requests } from '../harness/raw-borg.ts';
import { updated } from '../harness/updated.ts';
import type { Try } from './other-repositories.ts';
import { passingKey } from './passing-key.ts';
import { borgsOf, clientsOf } from './processes.ts';

/**
 * A borg that was taken over ends its own connection from below: the process of sshd above it has the same user id. Then it runs
 * under no connection, and its key is removed.
 */
export const outlive: Try = async (actor, { server }) => {
  const { client, account } = actor;
  const { key, remove } = await passingKey(actor, server);
  const pidsOf = (found: readonly { readonly pid: number }[]) => found.map(({ pid }) => pid);
  const borgs = async () => pidsOf(await borgsOf(server, account));
  const clients = async () => pidsOf(await clientsOf(server, account));
  const [others, otherClients] = [await borgs(), await clients()];
  const session = client.ssh(account, ['borg serve'], { key, input: 'pipe', reject: false });
  session.stdin?.write(requests());
  const pid = await until('its borg', async () => (await borgs()).find((each) => !others.includes(each)));
  // A hosted session is no child of sshd. The process that waits for it is one.
  const child = (await clients()).find((each) => !otherClients.includes(each)) ?? pid;
  try {
    const script = `
      parent=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$2/status")
      exec setpriv --reuid="$(id -u "$0")" --clear-groups sh -c 'kill -STOP "$1" && kill -KILL "$2"' sh "$1" "$parent"`;
    await server.exec(['sh', '-c', script, account, String(pid), String(child)]);
    await session;
    await remove();
    await updated(server);
    const gone = async () => ((await borgs()).includes(pid) ? undefined : true);
    return await until('its borg to end', gone).then(
      () => 'refused',
      () => 'allowed',
    );
  } finally {
    session.kill();
    await server.exec(['kill', '-KILL', String(pid)], { reject: false });
  }
};
