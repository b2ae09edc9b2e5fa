import { printable } from '../text/printable.ts';

/** A host name of one or more parts, as in DNS and Unix. The underscore is for compose and Windows. */
const HOST_NAME = /^(?=.{1,253}$)(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*$/;
const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

/**
 * Reads the address that clients use for the server: a host's name, an IPv4 or an IPv6 address, with brackets or without. It goes
 * into shells, URLs and ssh's files, so nothing else is accepted.
 *
 * @returns the host in lower case; an IPv6 address without brackets and in the form in which ssh looks it up in known_hosts
 *   (RFC 5952). Or what is wrong with it, as the end of a sentence
 */
export const readPublicHost = (text: string): { readonly host: string } | { readonly problem: string } => {
  const wrong = (problem: string) => ({ problem: `${problem} (found '${printable(text, 100)}')` });
  if (text.includes('%')) return wrong('must be an address that is the same on every machine, without a zone');
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(bare)) return readIpv6(bare) ?? wrong('is not an address');
  if (!HOST_NAME.test(text)) {
    return wrong('must be a host name or an address alone, without user, port or scheme');
  }
  if (/(^|\.)\d+$/.test(text) && !IPV4.test(text)) return wrong('is neither a host name nor an address');
  return { host: text.toLowerCase() };
};

/** Null for what is no address, and for an IPv4 address written as an IPv6 address, which ssh writes in another way than RFC 5952. */
const readIpv6 = (bare: string): { readonly host: string } | null => {
  if (!URL.canParse(`ssh://[${bare}]/`)) return null;
  const host = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  return host.startsWith('::ffff:') ? null : { host };
};

/**
 * The port that clients connect to, if somebody has said it. In a container sshd's own port does not tell which port is
 * published. SSH_HOST_PORT belongs to the compose file, and may have an address before the port.
 */
export const knownPort = (
  configured: number | null,
  env: Readonly<Record<string, string | undefined>>,
): number | null =>
  configured ??
  (env.SSH_HOST_PORT ? readPort(env.SSH_HOST_PORT.split(':').at(-1) ?? '') : readPort(env.SSH_PORT ?? ''));

/** Host and port as a URL has them (RFC 3986: an IPv6 address in brackets). The words HOST and PORT where they are not known. */
export const urlAuthority = (host: string | null, port: number | null): string =>
  `${host?.includes(':') ? `[${host}]` : (host ?? 'HOST')}:${port ?? 'PORT'}`;

/** A port as text, 1 to 65535 in plain digits; null for anything else. */
export const readPort = (text: string): number | null => {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
};
