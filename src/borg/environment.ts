import { join } from 'node:path';

/**
 * The part of the operator's environment that borg gets: secrets for the key, answers to borg's questions, the terminal, language
 * and time zone (borg documentation, "Environment Variables"). Nothing that moves borg's folders or changes its host id.
 */
const HANDED_ON =
  /^(BORG_(NEW_|DISPLAY_)?PASSPHRASE|BORG_PASSCOMMAND|BORG_EXIT_CODES|BORG_SHOW_SYSINFO|BORG_WORKAROUNDS|BORG_KEY_FILE|BORG_[A-Z_]+_IS_OK|BORG_[A-Z_]+_I_KNOW_WHAT_I_AM_DOING|TERM|TZ|LANG|LC_[A-Z]+|COLUMNS|LINES)$/;

export type BorgPlace = {
  /** BORG_BASE_DIR and HOME: borg keeps its cache, security information and key files below it. */
  readonly base: string;
  /** USER and LOGNAME: borg writes it into archives. It fails where neither they nor the account database have a name. */
  readonly user: string;
  readonly hostId: string | null;
  /** BORG_REPO, where the operator's BORG_REPO named the repository. */
  readonly repository: string | null;
  /**
   * BORG_CACHE_DIR and BORG_SECURITY_DIR are below it, where the repository is a former state of one: else borg would take it for an attack. Nothing is
   * sent there, so it may have been moved. But borg asks before it reads what is not encrypted: a thief could have put that in its place.
   */
  readonly remembered?: string;
};

/** borg's environment on this server. */
export const borgEnvironment = (
  env: Readonly<Record<string, string | undefined>>,
  { base, user, hostId, repository, remembered }: BorgPlace,
): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value !== undefined && HANDED_ON.test(name) ? [[name, value]] : [],
    ),
  ),
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: base,
  USER: user,
  LOGNAME: user,
  BORG_BASE_DIR: base,
  ...(hostId !== null && { BORG_HOST_ID: hostId }),
  ...(repository !== null && { BORG_REPO: repository }),
  ...(remembered !== undefined && {
    BORG_CACHE_DIR: join(remembered, 'cache'),
    BORG_SECURITY_DIR: join(remembered, 'security'),
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
  }),
});
