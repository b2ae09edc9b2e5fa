import * as beforeLogin from './before-login.ts';
import * as boxed from './boxed.ts';
import * as dots from './dot-names.ts';
import * as exhausting from './exhausting.ts';
import * as forging from './forging.ts';
import * as forwarding from './forwarding.ts';
import * as disks from './full-disk.ts';
import * as hostile from './hostile-items.ts';
import * as links from './links.ts';
import * as names from './names.ts';
import * as others from './other-repositories.ts';
import * as outliving from './outliving.ts';
import * as own from './own-repository.ts';
import * as running from './running.ts';
import * as staying from './staying.ts';
import * as unix from './unix-user.ts';

/** How each attempt of the matrix is made, by its id. */
export const TRIES: Readonly<Record<string, others.Try>> = {
  read: others.read,
  'read-by-link': others.readByLink,
  'read-with-borg': others.readWithBorg,
  widen: others.widen,
  write: others.write,
  'overwrite-key': others.overwriteKey,
  'break-lock': others.breakLock,
  destroy: others.destroy,
  'create-beside': others.createBeside,
  'create-outside': others.createOutside,
  'dot-names': dots.dotNames,
  'log-in-as-other': others.logInAsOther,
  'name-taken': names.nameTaken,
  'account-exists': names.accountExists,
  'log-in-without-key': names.logInWithoutKey,
  shell: running.shell,
  terminal: running.terminal,
  'file-transfer': running.fileTransfer,
  environment: running.environment,
  'rc-file': running.rcFile,
  'borg-options': running.borgOptions,
  'forward-local': forwarding.forwardLocal,
  'forward-remote': forwarding.forwardRemote,
  'forward-socket': forwarding.forwardSocket,
  'forward-agent': forwarding.forwardAgent,
  'forward-x11': forwarding.forwardX11,
  'forward-tunnel': forwarding.forwardTunnel,
  'back-up': own.backUp,
  'delete-for-good': own.deleteForGood,
  'destroy-own': own.destroyOwn,
  'break-own-lock': own.breakOwnLock,
  'overwrite-own-key': own.overwriteOwnKey,
  'write-unlocked': own.writeUnlocked,
  'exceed-quota': own.exceedQuota,
  'unix-other': unix.unixOther,
  'unix-list': unix.unixList,
  'unix-server': unix.unixServer,
  'unix-keys': unix.unixKeys,
  'unix-processes': unix.unixProcesses,
  'unix-names': unix.unixNames,
  boxed: boxed.boxed,
  links: links.links,
  'forge-log': forging.forgeLog,
  stay: staying.stay,
  outlive: outliving.outlive,
  'memory-by-options': exhausting.memoryByOptions,
  memory: exhausting.memory,
  sessions: exhausting.sessions,
  inodes: exhausting.inodes,
  repositories: exhausting.repositories,
  processes: exhausting.processes,
  'full-disk': disks.fullDisk,
  'hostile-items': hostile.hostileItems,
  flood: exhausting.flood,
  'memory-before-login': beforeLogin.memoryBeforeLogin,
};
