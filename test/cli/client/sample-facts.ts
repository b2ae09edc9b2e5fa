import type { AccountName } from '../../../src/accounts/name.ts';
import type { BackupFacts, ClientFacts } from '../../../src/cli/client/connection.ts';

const name = (text: string) => text as AccountName;

/** An account that may do everything on its repository, at a port of its own. */
export const repo: BackupFacts = {
  account: name('web01.example.org'),
  role: 'repo',
  subRepositories: false,
  repository: 'web01.example.org',
  host: 'backup.example.org',
  port: 2222,
  hostKeys: ['ssh-ed25519 AAAAC3Nz+/=', 'ssh-rsa AAAAB3Nz+/='],
  identity: '~/.ssh/borg',
  appendOnly: [],
  appendOnlyFolders: [],
};
export const appendOnly: BackupFacts = {
  ...repo,
  ...{ account: name('db01'), role: 'append-only', repository: 'db01', host: '2001:db8::1', identity: null },
};
export const severalRepositories: BackupFacts = {
  ...repo,
  subRepositories: true,
  repository: 'web01.example.org/main',
};
export const admin: ClientFacts = {
  ...repo,
  ...{ account: name('alice'), role: 'admin', repository: null, appendOnly: [name('db01'), name('db-2.example.org')] },
  appendOnlyFolders: [name('fleet')],
};
/** The account of a single user: borg, which backs up to a repository that is named. */
export const adminWithRepository: BackupFacts = { ...admin, account: name('borg'), repository: 'laptop', port: 22 };

/** Every kind of account. */
export const KINDS: Readonly<Record<string, ClientFacts>> = {
  repo,
  appendOnly,
  severalRepositories,
  admin,
  adminWithRepository,
};
