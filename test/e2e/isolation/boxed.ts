import { until } from '../harness/machine.ts';
import { open, requests } from '../harness/raw-borg.ts';
import type { Try } from './other-repositories.ts';
import { sessionOf } from './processes.ts';

/**
 * Goes into the box of a session, by the launcher's own module. There it tries what a borg could do that was taken over by its client.
 * Where the first word is `none`, it goes into no box. Prints what succeeded, and `own` for the account's own repository.
 */
const INSIDE = `
import os, sys
sys.path.append('/run/borgserver')
from launcher import box
from launcher.confinement import Session
how, own, repository, folder, victim, pid = sys.argv[1:]
signals = box.version() >= box.SCOPE_SINCE
if how != 'none':
    session = Session(repository or None, folder or None, how == 'admin', 'required')
    session.begin()
    session.enter(own)

def read(path):
    with open(path, 'rb') as file:
        file.read(1)

def write(path):
    with open(path, 'r+b') as file:
        file.write(file.read(1))

def add(path):
    os.mkdir(path)
    os.rmdir(path)

attempts = {
    'own': lambda: (read(own + '/config'), add(own + '/added')),
    'list': lambda: os.listdir(victim),
    'read': lambda: read(victim + '/config'),
    'change': lambda: write(victim + '/config'),
    'add': lambda: add(victim + '/added'),
    'rename': lambda: (os.rename(victim + '/README', victim + '/README-2'), os.rename(victim + '/README-2', victim + '/README')),
    'keys': lambda: read('/run/borgserver/authorized_keys/' + os.path.basename(victim)),
    'environment': lambda: read('/proc/%s/environ' % pid),
}
if signals or how == 'none':
    attempts['signal'] = lambda: os.kill(int(pid), 0)
for name, attempt in attempts.items():
    try:
        attempt()
    except PermissionError:
        continue
    print(name)
`;

/** What succeeds for somebody whom nothing holds back. */
const ALL = 'own list read change add rename keys environment signal';

/**
 * With IDENTITIES=shared every account is the same Unix user, who may open each repository and each process. Only the box stops
 * this. A session of the victim's runs meanwhile.
 */
export const boxed: Try = async (actor, { shared }) => {
  const { column, own, victim, account, owner } = actor;
  const how = column === 'control' ? 'none' : column === 'admin' ? 'admin' : 'tenant';
  const [repository, folder] =
    column === 'admin' ? ['', '/repos'] : column === 'sub-repositories' ? ['', `/repos/${account}`] : [own, ''];
  const { server, client } = shared;
  const session = client.ssh(owner.account, ['borg serve'], { input: 'pipe', reject: false });
  try {
    session.stdin?.write(requests(open(victim, { lock: false })));
    const pid = await until('the session of the owner', () => sessionOf(server, owner.account));
    // This runs with the user and group of the owner's session. The actor's session has the same. It has the role's group, too, as a cold one has.
    const gid = `sed -n 's/^Gid:.//p' /proc/${pid}/status | cut -f 1`;
    const become = `exec setpriv --reuid="$(id -u "$0")" --regid="$(${gid})" --groups="$(id -g "$0")" "$@"`;
    const python = ['python3', '-I', '-c', INSIDE, how, own, repository, folder, victim, String(pid)];
    const { stdout, stderr } = await server.exec(['sh', '-c', become, account, ...python], { reject: false });
    const came = stdout.trim().split('\n');
    if (came[0] !== 'own') throw new Error(`the own repository is closed, too: ${stdout}${stderr}`);
    if (came.length === 1) return 'refused';
    if (came.join(' ') === ALL) return 'allowed';
    throw new Error(`${came} of ${ALL}`);
  } finally {
    session.stdin?.end();
    await session;
  }
};
