import type { AccountName } from '../accounts/name.ts';

/** Why a file's name may be a mistake, and which name was meant, if that is known. Both are safe to print. */
export type NameSlip = { readonly why: string; readonly meant: string | null };

/**
 * Ends of file names that are no part of a host's name: none of them is a top-level domain, as `.pub`, `.md` and `.zip` are. They
 * come from editors, packages and backups, from mail programs and from Windows.
 */
const EXTENSION =
  /(?:\.pub)?\.(?:txt|text|key|keys|pem|ppk|asc|gpg|sig|crt|cer|der|bak|backup|old|orig|copy|tmp|temp|part|rej|disabled|off|rpmnew|rpmsave|rpmorig|dpkg-(?:old|new|dist|bak)|ucf-(?:old|dist)|json|ya?ml|conf|cfg|ini|html?|docx?|rtf|gz|tar)$/i;

/** What ssh-keygen calls a key if nobody gives it a name. */
const SSH_KEYGEN = /^(?:identity|id_(?:rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk)(?:[._-].*)?)$/i;

/** Files of ssh and sshd that hold many keys, or the keys of the server. */
const SSH_FILE = /^(?:authorized_keys2?|known_hosts2?|allowed_signers|ssh_host_\w+_key)(?:[._-].*)?$/i;

/**
 * Looks whether the name that a key file gives to its account is more likely a mistake. Such a name works, so nobody would notice
 * until the client asks for another.
 *
 * @returns null for a name that may well be meant
 */
export const slipOf = (name: AccountName): NameSlip | null => {
  if (SSH_KEYGEN.test(name)) return { why: 'this is the name that ssh-keygen gives to a key', meant: null };
  if (SSH_FILE.test(name)) return { why: "this is the name of a file of ssh's own", meant: null };
  if (/\.pub$/i.test(name))
    return slip('only one .pub in small letters at the end is no part of the name', name, /(?:\.pub)+$/i);
  if (EXTENSION.test(name)) return slip('only .pub at the end is no part of the name', name, EXTENSION);
  if (/\.$/.test(name)) return slip('a dot at the end is a part of the name', name, /\.+$/);
  if (name.includes('..')) return { why: 'no host name has two dots in a row', meant: name.replace(/\.{2,}/g, '.') };
  return null;
};

const slip = (why: string, name: string, end: RegExp): NameSlip => {
  const meant = name.replace(end, '');
  return { why, meant: meant === '' ? null : meant };
};
