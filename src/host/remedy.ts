/** What helps against an error of the system (errno(3)), in words for an operator. */
export const remedyOf = (code: string | null): string => REMEDIES.get(code ?? '') ?? 'see what the kernel says (dmesg)';

const SPACE = 'free space there, or make that file system larger (df -h and df -i tell what is full)';
const FILES = 'allow the server more open files (ulimit -n), or end what uses them up';
const RIGHTS = 'give the server the rights that docker-compose.yml gives it';

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', SPACE],
  ['EDQUOT', SPACE],
  ['EMFILE', FILES],
  ['ENFILE', FILES],
  ['EACCES', RIGHTS],
  ['EPERM', RIGHTS],
  ['EROFS', 'mount it writable'],
]);
