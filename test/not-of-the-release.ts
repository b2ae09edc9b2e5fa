/**
 * End-to-end files that another release of borg, OpenSSH and Python cannot make fail while all others pass, and why. Against the
 * second image they are left out; a new file runs everywhere. Their borg and ssh are the testing machine's own, as in every file.
 *
 * What tells of borg's messages, of sshd's log, of how processes of a session end, of the launcher or the session host never stands here.
 */
export const NOT_OF_THE_RELEASE: readonly string[] = [
  // The text that this server prints, and whether the client's borg and ssh do what it says. Init, create, prune, compact, check and
  // extract against the image's borg: `repository`, `append-only`, `admin`.
  'client-text',
  // How key files are read while they change. That sshd reads what comes of it: `drift`; that sessions end by it: `revocation`.
  'hot-changes',
  'faults-tree',
  // Owners, uids and names of folders that come from elsewhere; that borg asks whether a repository has moved is the client's doing.
  'takeover',
  // A screen of what the server knows. Last backups, locks, damage: test/borg, in the image.
  'status',
].map((name) => `test/e2e/${name}.test.ts`);
