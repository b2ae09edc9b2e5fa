import { errorAt, type Finding } from '../accounts/finding.ts';
import { isReadOnly } from '../system/read-only.ts';

/** What makes it writable again, at a start: nobody can restore from a server that does not run. */
export const READ_ONLY_AT_START =
  'see the host’s kernel log (dmesg) for the error; check the disk (smartctl, fsck), mount it writable and start again';
/** What makes it writable again, in words for a line of doctor. */
export const READ_ONLY_CURE =
  'see the host’s kernel log (dmesg) for the error; stop the server, check the disk (smartctl, fsck), mount it writable and start again; until it is stopped clients restore with: borg extract --bypass-lock';

/** For the health check: why nothing can be backed up. Null: backups are possible. */
export const readOnlyProblem = (repos: string): string | null =>
  isReadOnly(repos) ? `${repos} is read-only, as after a disk error: no backup can be made (borgserver doctor)` : null;

/** The same as a finding of an update. It closes no account: the data can still be read. */
export const readOnlyFindings = (repos: string): readonly Finding[] =>
  isReadOnly(repos)
    ? [
        errorAt(
          '/repos',
          'repositories-read-only',
          'the file system is read-only, as after a disk error: no backup can be made',
          READ_ONLY_CURE,
        ),
      ]
    : [];
