import { compareText } from '../text/order.ts';
import type { State } from './account.ts';
import type { Declaration, DeclaredAccount } from './declaration.ts';
import { type Finding, findingAt } from './finding.ts';
import type { Registry } from './identity.ts';
import { type LeftoverName, leftoverName } from './leftover-name.ts';
import { type AccountName, judgeName } from './name.ts';
import type { RepositoryFolder } from './repository-folder.ts';
import { ROLES } from './role.ts';

/** What tells a leftover from an account that is only called like one. What is left out is not known. */
export type LeftoverEvidence = {
  readonly running: State;
  readonly folders?: readonly RepositoryFolder[];
  readonly registry?: Registry;
};

/** What is declared without the leftovers, and what has to be remembered of them: names, sorted. */
export type WithoutLeftovers = { readonly declaration: Declaration; readonly remembered: readonly string[] };

/**
 * Takes out of what is declared the files that are copies put aside, by their names: they hold keys that were removed since. Such a
 * file opens nothing where NAME stands beside it, in whatever role folder; nor where NAME was there, so that removing NAME does not
 * open its copy instead; nor ever, where no host is called so, or as an admin. That it was one is remembered as long as it is there.
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
        // What else is wrong with it counts for nothing now; but a private key lies there all the same.
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
  /** The account of which it is a copy. */
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
  // Both keep what they are; only the client has to be told.
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
