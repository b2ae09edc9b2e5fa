import { ROLE_FOLDERS, type Role } from '../../src/accounts/role.ts';

/** The accounts of a run: any of them may stand in any role folder. */
export const NAMES = ['web01', 'web02', 'db01', 'nas.example.org', 'laptop', 'ops'] as const;

/** How many keys the accounts share. There is one more, the stranger's. It never stands on a sound line. */
export const KEYS = 6;
export const STRANGER = KEYS;

/** What may stand before a key. `expiry` is in seconds since the epoch. */
export type Options = { readonly from?: 'anywhere' | 'nowhere'; readonly expiry?: number };

/** Lines that grant nothing. */
export type Junk =
  | 'malformed'
  | 'forbidden'
  | 'private'
  | 'repeated'
  | 'unknown-directive'
  | 'bad-directive'
  | 'comment';

/** One key file as the run declares it. */
export type KeyFile = {
  readonly keys: readonly { readonly key: number; readonly options: Options }[];
  readonly junk: readonly Junk[];
  /** In bytes. */
  readonly quota?: number;
  readonly sub: boolean;
};

/** What is declared: key files by `FOLDER/FILE`, and the role folders that are out of sight. */
export type Tree = { readonly files: ReadonlyMap<string, KeyFile>; readonly hidden: ReadonlySet<Role> };

export const EMPTY: Tree = { files: new Map(), hidden: new Set() };

/** File names that open no account, each with the finding that it has to cause. */
export const BAD_NAMES: Readonly<Record<string, 'bad-name' | 'reserved-name'>> = {
  '-rf': 'bad-name',
  '12345': 'bad-name',
  'x:y': 'bad-name',
  'a b': 'bad-name',
  '$(id)': 'bad-name',
  all: 'reserved-name',
  'borg-ops': 'reserved-name',
  root: 'reserved-name',
};

const ROLE_OF: Readonly<Record<string, Role>> = { repos: 'repo', 'repos-appendonly': 'append-only', admins: 'admin' };

/** The parts of `FOLDER/FILE`. `web01.pub` declares web01. */
export const placeOf = (path: string): { readonly role: Role; readonly entry: string; readonly name: string } => {
  const [folder = '', entry = ''] = path.split('/');
  const role = ROLE_OF[folder];
  if (!role) throw new Error(`${path} is in no role folder`);
  return { role, entry, name: entry.replace(/\.pub$/, '') };
};

export const pathOf = (role: Role, entry: string): string => `${ROLE_FOLDERS[role]}/${entry}`;

/** The files that declare a name, hidden ones too. */
export const filesOf = (tree: Tree, name: string): readonly string[] =>
  [...tree.files.keys()].filter((path) => placeOf(path).name === name).sort();

export const withFile = (tree: Tree, path: string, file: KeyFile): Tree => ({
  ...tree,
  files: new Map(tree.files).set(path, file),
});

export const withoutFile = (tree: Tree, path: string): Tree => ({
  ...tree,
  files: new Map([...tree.files].filter(([each]) => each !== path)),
});

const JUNK_TEXT: Readonly<Record<Exclude<Junk, 'repeated' | 'forbidden'>, string>> = {
  malformed: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA somebody',
  private: '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----',
  'unknown-directive': '# borgserver: quotas=5G',
  'bad-directive': '# borgserver: quota=lots',
  comment: '# \u001b[31m $(reboot) `id` ; rm -rf /',
};

/**
 * A key file's text.
 *
 * @param publicLines by the number of the key
 */
export const renderFile = (file: KeyFile, publicLines: readonly string[]): string => {
  const line = (key: number, options: Options): string => [optionText(options), publicLines[key]].join('');
  const [first] = file.keys;
  const junk = file.junk.flatMap((kind) => {
    if (kind === 'repeated') return first ? [line(first.key, first.options)] : [];
    return kind === 'forbidden' ? [`command="/bin/sh" ${publicLines[STRANGER]}`] : [JUNK_TEXT[kind]];
  });
  return [
    ...(file.quota === undefined ? [] : [`# borgserver: quota=${file.quota}`]),
    ...(file.sub ? ['# borgserver: sub-repositories=yes'] : []),
    ...file.keys.map(({ key, options }) => line(key, options)),
    ...junk,
  ]
    .map((text) => `${text}\n`)
    .join('');
};

const FROM = { anywhere: '0.0.0.0/0,::/0', nowhere: '10.99.0.0/16' } as const;

const optionText = ({ from, expiry }: Options): string => {
  const options = [
    ...(from ? [`from="${FROM[from]}"`] : []),
    ...(expiry === undefined ? [] : [`expiry-time="${stamp(expiry)}"`]),
  ];
  return options.length > 0 ? `${options.join(',')} ` : '';
};

const stamp = (seconds: number): string =>
  `${new Date(seconds * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
