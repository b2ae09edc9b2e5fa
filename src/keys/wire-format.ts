import sshpk from 'sshpk';
import { fingerprintOf } from '../accounts/authorized-key-line.ts';
import { CURVES, type Curve, isPublicPoint } from './curve-point.ts';

type Kind =
  | { readonly type: 'ssh-ed25519' | 'sk-ssh-ed25519@openssh.com' | 'ssh-rsa' | 'ssh-dss' }
  | { readonly type: EcdsaType | 'sk-ecdsa-sha2-nistp256@openssh.com'; readonly curve: Curve };
type EcdsaType = 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521';

/** What the words of a key say, after every check. Type and blob are written as OpenSSH itself would write them. */
export type PublicKey = {
  readonly type: string;
  /** Canonical base64 with padding of the canonical wire format: equal keys have equal blobs. */
  readonly blob: string;
  /** SHA256:… as ssh-keygen -l prints it. */
  readonly fingerprint: string;
};

/** A key, or why it is none. `found` is printable and holds nothing of the key. */
export type KeyVerdict =
  | { readonly ok: true; readonly key: PublicKey }
  | {
      readonly ok: false;
      readonly code: 'malformed-key' | 'unknown-key-type' | 'weak-key' | 'dsa-key' | 'certificate';
      readonly found: string;
    };

const [P256, P384, P521] = CURVES as readonly [Curve, Curve, Curve];
const SK_ECDSA: Kind = { type: 'sk-ecdsa-sha2-nistp256@openssh.com', curve: P256 };

/**
 * OpenSSH's names for public keys (sshkey.c, keyimpls). OpenSSH takes the name of a signature algorithm for the key's own type,
 * so this does too. The key is written under its own name.
 */
const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['ssh-ed25519', { type: 'ssh-ed25519' }],
  ['ssh-rsa', { type: 'ssh-rsa' }],
  ['rsa-sha2-256', { type: 'ssh-rsa' }],
  ['rsa-sha2-512', { type: 'ssh-rsa' }],
  ['ecdsa-sha2-nistp256', { type: 'ecdsa-sha2-nistp256', curve: P256 }],
  ['ecdsa-sha2-nistp384', { type: 'ecdsa-sha2-nistp384', curve: P384 }],
  ['ecdsa-sha2-nistp521', { type: 'ecdsa-sha2-nistp521', curve: P521 }],
  ['sk-ssh-ed25519@openssh.com', { type: 'sk-ssh-ed25519@openssh.com' }],
  ['sk-ecdsa-sha2-nistp256@openssh.com', SK_ECDSA],
  ['webauthn-sk-ecdsa-sha2-nistp256@openssh.com', SK_ECDSA],
  ['ssh-dss', { type: 'ssh-dss' }],
]);

/** Types of later releases. They are good keys, but this program cannot judge them. Each with the software that knows it. */
const KNOWN_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['ssh-mldsa44-ed25519', 'OpenSSH 10.6 does'],
  ['ssh-mldsa44-ed25519@openssh.com', 'OpenSSH 10.6 does'],
]);

/** The form of OpenSSH's key type names. `ssh -Q key` says whether it has one of this name. */
const TYPE_NAME = /^(?:sk-)?(?:ssh|ecdsa|mldsa|rsa)-[a-z0-9-]{1,60}(?:@openssh\.com)?$/;

const CERTIFICATE = /-cert-v0[01]@openssh\.com$/;

/** RSA keys with fewer bits are refused: ssh-keygen itself accepts 1024. */
const LEAST_RSA_BITS = 2048;
/** SSHBUF_MAX_BIGNUM: the most bytes of a number that OpenSSH reads. */
const MOST_NUMBER_BYTES = 16_384 / 8;
/** The types that sshpk can read too. It knows no FIDO keys. */
const SSHPK_READS = /^(ssh-|ecdsa-)/;

const malformed = (found: string): KeyVerdict => ({ ok: false, code: 'malformed-key', found });

/** Whether a word is the name of a key type, or of one that is refused by name. */
export const isKeyType = (word: string): boolean =>
  KINDS.has(word) || CERTIFICATE.test(word) || KNOWN_ELSEWHERE.has(word);

/** A type that is not judged here. A word names it, and the blob after it names it again. */
const unknownType = (word: string, base64: string): KeyVerdict | null => {
  if (!TYPE_NAME.test(word) || blobType(base64) !== word) return null;
  const who = KNOWN_ELSEWHERE.get(word) ?? "'ssh -Q key' says whether OpenSSH does";
  return {
    ok: false,
    code: 'unknown-key-type',
    found: `the key type ${word}, which this server does not know yet; ${who}`,
  };
};

/** The type that a blob itself names, if it names one. Nothing else in it was looked at. */
export const blobType = (base64: string): string | null => {
  const blob = Buffer.from(base64.slice(0, 200), 'base64');
  const end = blob.length < 4 ? 0 : 4 + blob.readUInt32BE(0);
  const name = end <= blob.length ? blob.toString('latin1', 4, end) : '';
  return /^[a-z0-9][a-z0-9@.-]{0,79}$/.test(name) ? name : null;
};

/**
 * Reads the two words of a public key, as OpenSSH's sshkey_read does: RFC 4253, 6.6 (the blob; ssh-rsa), RFC 5656 (ECDSA), RFC
 * 8709 (Ed25519), OpenSSH's PROTOCOL.u2f (FIDO). What OpenSSH accepts although it is not canonical (leading zeros, other names,
 * white space in base64) comes out canonical. What only some of its versions accept is refused.
 */
export const readKeyWords = (word: string, base64: string): KeyVerdict => {
  if (CERTIFICATE.test(word)) return { ok: false, code: 'certificate', found: 'an OpenSSH certificate' };
  const kind = KINDS.get(word);
  if (!kind) return unknownType(word, base64) ?? malformed('no key type that OpenSSH knows');
  const blob = decodeBase64(base64);
  if (!blob) return malformed('base64 that is cut or damaged');
  const canonical = readBlob(kind, blob);
  if (!Buffer.isBuffer(canonical)) return canonical;
  return {
    ok: true,
    key: { type: kind.type, blob: canonical.toString('base64'), fingerprint: fingerprintOf(canonical) },
  };
};

/**
 * Node forgives missing padding, stray bits and foreign characters. OpenSSH (b64_pton) forgives only white space, and a word can
 * hold only these two. A CR would be white space too, but it ends the line for OpenSSH 10.
 */
const decodeBase64 = (text: string): Buffer | null => {
  const packed = /[\v\f]/.test(text) ? text.replace(/[\v\f]/g, '') : text;
  const bytes = Buffer.from(packed, 'base64');
  return packed !== '' && bytes.toString('base64') === packed ? bytes : null;
};

const readBlob = (kind: Kind, blob: Buffer): Buffer | KeyVerdict => {
  const fields = fieldsOf(blob);
  const name = fields && cString(fields[0]);
  if (!fields || name === null || name === undefined) return malformed('a key that is cut short or damaged');
  if (KINDS.get(name)?.type !== kind.type) {
    return malformed(`a key of another type than '${kind.type}', which is written before it`);
  }
  const wanted = FIELDS[kind.type];
  if (fields.length !== wanted)
    return malformed(`a key with ${fields.length < wanted ? 'less' : 'more'} in it than it should have`);
  const values = readFields(kind, fields);
  if (!Array.isArray(values)) return values;
  const canonical = Buffer.concat([Buffer.from(kind.type), ...values].flatMap((value) => [lengthOf(value), value]));
  return SSHPK_READS.test(kind.type) && !sshpkAgrees(canonical) ? malformed('a key that cannot be read') : canonical;
};

/** How many strings a blob has, with the type. */
const FIELDS: Readonly<Record<Kind['type'], number>> = {
  'ssh-ed25519': 2,
  'sk-ssh-ed25519@openssh.com': 3,
  'ssh-rsa': 3,
  'ssh-dss': 5,
  'ecdsa-sha2-nistp256': 3,
  'ecdsa-sha2-nistp384': 3,
  'ecdsa-sha2-nistp521': 3,
  'sk-ecdsa-sha2-nistp256@openssh.com': 4,
};

/** Cuts a blob into its length-prefixed strings (RFC 4251, 5). Null if they do not fill it exactly. */
const fieldsOf = (blob: Buffer): Buffer[] | null => {
  const fields: Buffer[] = [];
  for (let at = 0; at < blob.length; ) {
    if (at + 4 > blob.length || fields.length > 5) return null;
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) return null;
    fields.push(blob.subarray(at + 4, end));
    at = end;
  }
  return fields;
};

/** A string of sshbuf_get_cstring. NUL is allowed only as its last byte, and is not part of the string. */
const cString = (field: Buffer | undefined): string | null => {
  if (!field) return null;
  const nul = field.indexOf(0);
  return nul === -1 ? field.toString('latin1') : nul === field.length - 1 ? field.toString('latin1', 0, nul) : null;
};

const lengthOf = (value: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(value.length);
  return length;
};

/** The values after the type, in canonical form. */
const readFields = (
  kind: Kind,
  [, first = EMPTY, second = EMPTY, third = EMPTY]: readonly Buffer[],
): Buffer[] | KeyVerdict => {
  switch (kind.type) {
    case 'ssh-ed25519':
      return first.length === 32 ? [first] : malformed(`an Ed25519 key of ${first.length} bytes instead of 32`);
    case 'sk-ssh-ed25519@openssh.com':
      return first.length === 32 ? withApplication([first], second) : malformed('a damaged FIDO key');
    case 'ssh-rsa':
      return readRsa(first, second);
    case 'ssh-dss':
      return { ok: false, code: 'dsa-key', found: 'a DSA key' };
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return readPoint(kind.curve, first, second);
    case 'sk-ecdsa-sha2-nistp256@openssh.com': {
      const point = readPoint(kind.curve, first, second);
      return Array.isArray(point) ? withApplication(point, third) : point;
    }
  }
};

const EMPTY = Buffer.alloc(0);

const withApplication = (values: Buffer[], field: Buffer): Buffer[] | KeyVerdict => {
  const application = cString(field);
  return application === null ? malformed('a damaged FIDO key') : [...values, Buffer.from(application, 'latin1')];
};

const readPoint = (curve: Curve, named: Buffer, point: Buffer): Buffer[] | KeyVerdict => {
  if (cString(named) !== curve.name) return malformed(`an ECDSA key that is not of its curve ${curve.name}`);
  return isPublicPoint(curve, point)
    ? [Buffer.from(curve.name), point]
    : malformed(`an ECDSA key that is no point of ${curve.name}`);
};

const readRsa = (e: Buffer, n: Buffer): Buffer[] | KeyVerdict => {
  const [exponent, modulus] = [trimNumber(e), trimNumber(n)];
  if (!exponent || !modulus) return malformed('an RSA key with a negative or oversized number');
  const bits = modulus.length === 0 ? 0 : modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < LEAST_RSA_BITS) return { ok: false, code: 'weak-key', found: `an RSA key of ${bits} bits` };
  // With exponent 1 a signature is its own message: anyone who knows the public key can log in with it.
  if (exponent.length === 0 || (exponent.length === 1 && exponent[0] === 1)) {
    return { ok: false, code: 'weak-key', found: 'an RSA key whose exponent makes every signature valid' };
  }
  return [mpint(exponent), mpint(modulus)];
};

/** An mpint's magnitude without leading zeros. Null for what sshbuf_get_bignum2 refuses. */
const trimNumber = (field: Buffer): Buffer | null => {
  if ((field[0] ?? 0) >= 0x80) return null;
  if (field.length > MOST_NUMBER_BYTES + 1 || (field.length === MOST_NUMBER_BYTES + 1 && field[0] !== 0)) return null;
  const start = field.findIndex((byte) => byte !== 0);
  return start === -1 ? EMPTY : field.subarray(start);
};

const mpint = (magnitude: Buffer): Buffer =>
  (magnitude[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), magnitude]) : magnitude;

/** A second, independent reader: sshpk must find the same key and write the same bytes. On its own it accepts truncated blobs. */
const sshpkAgrees = (canonical: Buffer): boolean => {
  try {
    return sshpk.parseKey(canonical, 'rfc4253').toBuffer('rfc4253', {}).equals(canonical);
  } catch {
    return false;
  }
};
