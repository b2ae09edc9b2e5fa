import { printable } from '../text/printable.ts';

declare const accountName: unique symbol;

/** A checked account name: Unix account, login name and repository in one. It is safe in passwd, group, paths and a quoted shell word. */
export type AccountName = string & { readonly [accountName]: never };

/** Names that no key file may take: the server's own account and groups, and the word for every repository in `borgserver borg`. */
export const SINGLE_USER = 'borg' as AccountName;
const RESERVED = /^(all|borg|borg-.*)$/;

/** sshd cuts names in its log to this length (auth.c, auth_log: %.100s). With a longer name nobody could tell whose session it is. */
const MAX_LENGTH = 100;

export type NameVerdict =
  | { readonly ok: true; readonly name: AccountName }
  | {
      readonly ok: false;
      readonly code: 'bad-name' | 'reserved-name';
      readonly found: string;
      readonly remedy: string;
    };

const bad = (found: string, remedy: string): NameVerdict => ({ ok: false, code: 'bad-name', found, remedy });

/**
 * Judges a name that an operator gave. A newline or a colon would be an injection into passwd, a leading dash would be an option,
 * a leading dot a hidden file. chown, getent and many others take a name of digits only for a UID.
 *
 * @param system names of the machine's own accounts and groups, which may not be shadowed
 */
export const judgeName = (text: string, system: ReadonlySet<string>): NameVerdict => {
  if (text.length > MAX_LENGTH) return bad(`a name of ${text.length} characters`, `use at most ${MAX_LENGTH}`);
  if (/^[0-9]+$/.test(text))
    return bad(`the name '${printable(text)}' is only digits, which reads as a UID`, 'put a letter in it');
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text)) {
    return bad(
      `the name '${printable(text)}' has characters an account cannot have`,
      'use letters, digits, dot, dash and underscore, and begin with a letter, digit or underscore',
    );
  }
  const reserved = (found: string): NameVerdict => ({
    ok: false,
    code: 'reserved-name',
    found,
    remedy: 'choose another name',
  });
  if (RESERVED.test(text)) return reserved(`the name '${text}' is the server's own`);
  if (system.has(text)) return reserved(`the name '${text}' is a system account or group of this machine`);
  return { ok: true, name: text as AccountName };
};

/** A name from the account database. Only the server writes that, and it judged the name when it wrote it. */
export const recordedName = (text: string): AccountName => text as AccountName;
