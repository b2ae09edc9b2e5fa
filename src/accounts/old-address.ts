/**
 * Turns an IPv4 address in a form of inet_aton(3) into the usual form: 127.1, 0x7f000001, 010.0.0.1. sshd reads the addresses of
 * from= with getaddrinfo, which accepts these forms.
 *
 * @returns null for anything else
 */
export const oldForm = (text: string): string | null => {
  const parts = text.split('.');
  if (parts.length > 4 || !parts.every((part) => /^(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.test(part))) return null;
  const numbers = parts.map((part) => (/^0\d/.test(part) ? Number.parseInt(part, 8) : Number(part)));
  const last = numbers.pop() ?? 0;
  if (numbers.some((each) => each > 255) || last >= 256 ** (5 - parts.length)) return null;
  const value = numbers.reduce((sum, each, index) => sum + each * 256 ** (3 - index), last);
  return [3, 2, 1, 0].map((byte) => Math.floor(value / 256 ** byte) % 256).join('.');
};
