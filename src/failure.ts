import { printable } from './text/printable.ts';

/** What ends a command or a start. A closed set, so that a caller or a test can tell one from another without reading words. */
export type FailureCode =
  // the settings and the words of a command
  | 'bad-settings'
  | 'bad-sshd-arguments'
  | 'bad-address'
  | 'bad-identity'
  | 'bad-repository'
  | 'bad-name'
  | 'reserved-name'
  | 'nothing-to-confirm'
  | 'not-quotable'
  // what the machine lacks, or somebody else is using
  | 'no-borg'
  | 'no-borg-interpreter'
  | 'wrong-borg'
  | 'borg-self-test'
  | 'unknown-borg'
  | 'no-box'
  | 'no-sshd'
  | 'no-execve'
  | 'not-shipped'
  | 'missing-capabilities'
  | 'unmapped-ids'
  | 'role-groups'
  | 'time-zone'
  | 'port-taken'
  | 'privileged-port'
  // sshd's files and the server's own
  | 'bad-sshd-config'
  | 'unsafe-sshd-config'
  | 'unsafe-folder'
  | 'no-host-key'
  | 'bad-host-key'
  | 'bad-host-id'
  | 'bad-state-folder'
  | 'not-a-folder'
  | 'unwritable'
  // the folder of the repositories
  | 'missing-mount'
  | 'missing-disk'
  | 'disk-gone'
  | 'unusable-repositories'
  | 'fixed-owners'
  | 'lease-failed'
  | 'lease-held'
  // one repository or account
  | 'no-repository'
  | 'no-account'
  | 'root-owned'
  | 'misread-name'
  | 'name-taken'
  | 'odd-entry'
  | 'setgid-dropped'
  | 'extended-rights'
  | 'unchangeable'
  | 'too-deep'
  | 'too-much'
  // the running server, or that there is none
  | 'no-server'
  | 'pass-failed'
  | 'stopped'
  | 'stopping';

/** What is known of a failure. Any of it may be hostile text: it is made printable where it is shown. */
export type Facts = {
  readonly code: FailureCode;
  readonly path?: string;
  readonly file?: string;
  readonly found?: string;
  /** What was made to find out, and what became of it. */
  readonly made?: string;
  readonly name?: string;
  readonly port?: number;
  /** The largest number that is allowed. */
  readonly most?: number;
  readonly missing?: readonly string[];
  readonly problems?: readonly string[];
  /** What cures it. */
  readonly remedy?: string;
};

/** An Error with words for a person, and the facts as its `cause`. What the machine cannot do throws it. */
export const failure = (message: string, facts: Facts): Error => new Error(message, { cause: facts });

/** Whatever was thrown, taken apart. */
type Told = {
  readonly words: string;
  /** The same without what a program has written (execa's shortMessage). */
  readonly brief: string;
  readonly facts: readonly (readonly [name: string, value: string | readonly string[]])[];
  /** What caused it. */
  readonly because: Told | null;
  /** What an AggregateError or a SuppressedError holds; null: it is none. */
  readonly errors: readonly Told[] | null;
};

const MOST_CHARACTERS = 1000;
const text = (value: unknown): string => printable(String(value), MOST_CHARACTERS);

const tell = (error: unknown): Told => {
  if (!(error instanceof Error))
    return { words: text(error), brief: text(error), facts: [], because: null, errors: null };
  const { cause, message } = error;
  return {
    words: text(message),
    brief: text('shortMessage' in error && typeof error.shortMessage === 'string' ? error.shortMessage : message),
    facts: isFacts(cause) ? factsOf(cause) : [],
    because: cause === undefined || cause === null || isFacts(cause) ? null : tell(cause),
    errors: errorsIn(error)?.map(tell) ?? null,
  };
};

const errorsIn = (error: Error): readonly unknown[] | null => {
  if (error instanceof AggregateError) return error.errors;
  // What failed first, and then while it was cleaned up after that (`using`).
  return error instanceof SuppressedError ? [error.suppressed, error.error] : null;
};

const isFacts = (cause: unknown): cause is object =>
  typeof cause === 'object' && cause !== null && !(cause instanceof Error);

const factsOf = (cause: object): Told['facts'] =>
  Object.entries(cause)
    .filter(([name]) => name !== 'code')
    .map(([name, value]) => [name, Array.isArray(value) ? value.map(text) : text(value)]);

const MOST_ERRORS = 3;

/** Whatever was thrown, in one line, for the log: its words, its facts, and what caused it. */
export const failureInOneLine = (error: unknown): string => oneLine(tell(error));

const oneLine = ({ brief, facts, because, errors }: Told): string => {
  const shown = (errors ?? []).slice(0, MOST_ERRORS).map(oneLine).join(', ');
  const more = errors && errors.length > MOST_ERRORS ? ` and ${errors.length - MOST_ERRORS} more` : '';
  const known = facts.map(([name, value]) => `${name}: ${joined(value)}`).join(', ');
  return `${brief}${errors ? `: ${shown}${more}` : ''}${known && ` (${known})`}${because ? `: ${oneLine(because)}` : ''}`;
};

const joined = (value: string | readonly string[]): string => (typeof value === 'string' ? value : value.join('; '));

/** Whatever was thrown, for a person: its words, then its facts, one a line, then what caused it. */
export const failureInLines = (error: unknown): string => lines(tell(error)).join('\n');

const lines = ({ words, facts, because, errors }: Told): readonly string[] => [
  words,
  ...facts.flatMap(([name, value]) =>
    typeof value === 'string' ? [`  ${name}: ${value}`] : value.map((each) => `  ${each}`),
  ),
  ...(errors ?? []).flatMap((each) => lines(each).map((line) => `  ${line}`)),
  ...(because ? [`  because: ${lines(because).join('\n')}`] : []),
];

/** Whatever was thrown, as fields of a line of the log: all its words as `why`, and each fact under its name. Nobody can ask again what a start has failed on. */
export const failureFields = (error: unknown): Readonly<Record<string, string>> => {
  const { facts, ...told } = tell(error);
  return {
    why: oneLine({ ...told, brief: told.words, facts: [] }),
    ...Object.fromEntries(facts.map(([name, value]) => [name, joined(value)])),
  };
};
