/**
 * End-to-end files that are left out against the second image, and why: another release of borg, OpenSSH and Python cannot make them fail
 * while all others pass. A new file runs against both images. The client's borg and ssh are the testing machine's own, as in every file.
 *
 * A file that looks at borg's messages, sshd's log, how processes of a session end, the launcher or the session host is never in this list.
 */
export const NOT_OF_THE_RELEASE: readonly string[] = [
  // It tests the text that this server prints, and whether the client's borg and ssh do what the text says. Init, create, prune, compact,
  // check and extract against the image's borg are tested in `repository`, `append-only` and `admin`.
  'client-text',
  // They test how key files are read while they change. `drift` tests that sshd reads the result, `revocation` that sessions end by it.
  'hot-changes',
  'faults-tree',
  // It tests owners, uids and names of folders that come from elsewhere. The client's borg is the one that asks whether a repository has moved.
  'takeover',
  // It tests a screen of what the server knows. test/borg, which runs in the image, tests last backups, locks and damage.
  'status',
].map((name) => `test/e2e/${name}.test.ts`);
