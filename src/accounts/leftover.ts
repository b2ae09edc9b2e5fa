import { compareText } from '../text/order.ts';
import type { State } from './account.ts';
import type { Declaration, DeclaredAccount } from './declaration.ts';
import { type Finding, findingAt } from './finding.ts';
import type { Registry } from './identity.ts';
import { type LeftoverName, leftoverName } from './leftover-name.ts';
import { type AccountName, judgeName } from './name.ts';
import type { RepositoryFolder } from './repository-folder.ts';
import { ROLES } from './role.ts';

/** What tells a leftover from an account that only has such a name. What is left out is not known. */
export type LeftoverEvidence = {
  readonly running: State;
  readonly folders?: readonly RepositoryFolder[];
  readonly registry?: Registry;
};

/** What is declared, without the leftovers; and the names of the leftovers to remember, sorted. */
export type WithoutLeftovers = { readonly declaration: Declaration; readonly remembered: readonly string[] };

/**
 * Takes the files that are copies put aside out of what is declared. They are known by their names, and hold keys that were removed
 * since. Such a file opens nothing where NAME is beside it, in any role folder. It opens nothing where NAME was there before:
 * removing NAME must not open its copy instead. And it never opens anything where no host has such a name, or as an admin. That it
 * was a copy is remembered as long as the file is there.
 */
export const setLeftoversAside = (declaration: Declaration, evidence: LeftoverEvidence): WithoutLeftovers => {
  const candidates = declaration.accounts.flatMap((account) => {
    const leftover = leftoverName(account.name);
    return leftover ? [{ account, ...leftover }] : [];
  });
  const before = evidence.registry?.leftovers ?? [];
  const isWhole = ROLES.every((role) => declaration.folders[role] === 'read');
  if (candidates.length === 0) return { declaration, remembered: isWhole ? [] : before };

  const judge = createJudge(declaration, evidence);
  const aside = candidates.flatMap((candidate) => {
    const why = judge.whyAside(candidate);
    return why ? [{ ...candidate, why, own: judge.hasOwnRepository(candidate.account.name) }] : [];
  });
  const files = new Set(aside.map(({ account: { file } }) => file));
  const remembered = new Set([...(isWhole ? [] : before), ...aside.map(({ account: { name } }) => name)]);
  return {
    declaration: {
      ...declaration,
      accounts: declaration.accounts.filter(({ file }) => !files.has(file)),
      findings: [
        // Its other faults do not matter now. But a private key in it is still a private key.
        ...declaration.findings.filter(({ file, code }) => !files.has(file) || code === 'private-key'),
        ...aside.map(leftoverFinding),
      ],
    },
    remembered: [...remembered].sort(compareText),
  };
};

type Candidate = LeftoverName & { readonly account: DeclaredAccount };
type Why = {
  readonly kind: 'beside' | 'gone' | 'always';
  /** The account that it is a copy of. */
  readonly origin: string;
};

const createJudge = ({ accounts }: Declaration, { running, folders = [], registry }: LeftoverEvidence) => {
  const declared = new Set<string>(accounts.map(({ name }) => name));
  const { kept = [], lost = [] } = registry?.repositories ?? {};
  const filled = new Set([...kept, ...folders.filter((folder) => folder.filled).map(({ name }) => name)]);
  const was = new Set<string>([...folders.map(({ name }) => name), ...kept, ...lost, ...running.keys()]);
  for (const name of Object.keys(registry?.uids ?? {})) was.add(name);
  const remembered = new Set(registry?.leftovers);
  const hasOwnRepository = (name: AccountName): boolean => filled.has(name);

  const whyAside = ({ account: { name, role }, of, surely }: Candidate): Why | null => {
    const beside = of.find((origin) => declared.has(origin));
    if (beside !== undefined) return { kind: 'beside', origin: beside };
    const former = of.find((origin) => was.has(origin));
    const origin = former ?? of.at(-1) ?? name;
    if (remembered.has(name)) return { kind: 'gone', origin };
    if (surely || role === 'admin' || !judgeName(origin, new Set()).ok) return { kind: 'always', origin };
    return former === undefined || hasOwnRepository(name) ? null : { kind: 'gone', origin };
  };
  return { hasOwnRepository, whyAside };
};

type Aside = Candidate & { readonly why: Why; readonly own: boolean };

const leftoverFinding = ({ account: { file, name, role }, why: { kind, origin }, own }: Aside): Finding => {
  const what = {
    beside: `by its name this is a leftover of the key file of ${origin}, and opens nothing`,
    gone: `by its name this is a leftover of ${origin}, whose key file is gone: it opens nothing, or a key that was removed would be back`,
    always: 'a file of this name opens nothing, whatever is in it',
  }[kind];
  const folder = file.slice(0, file.lastIndexOf('/'));
  const isMeant = kind === 'beside' ? '' : `; if ${origin} is meant: mv ${file} ${folder}/${origin}`;
  // Both keep what they are. Only the client has to know.
  const other = name.startsWith(origin)
    ? origin + name.slice(origin.length).replaceAll('.', '-')
    : name.replaceAll('.sync-', '-sync-');
  const data = own && role !== 'admin';
  const move = `${data ? `mv -T /repos/${name} /repos/${other} && ` : ''}mv ${file} ${folder}/${other}`;
  return findingAt(
    data ? 'error' : 'warning',
    file,
    'leftover',
    data ? `${what}; but the account ${name} has a repository of its own, /repos/${name}, and is CLOSED` : what,
    `remove it: rm ${file}${isMeant}; if it is an account of its own, give it another name: ${move}`,
  );
};
