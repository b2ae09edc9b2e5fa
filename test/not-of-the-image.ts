/**
 * Test files that `test/units-in-image` leaves out, and why: no image can change their result. They run once, on the machine itself. Node is
 * the same in an image. A file that starts borg, OpenSSH or Python, or looks at the kernel's box, is never in this list.
 */
export const NOT_OF_THE_IMAGE: readonly string[] = [
  // They have values in and values out, or files that the test itself has made. not-of-the-image.test.ts checks that they start no program.
  ...['disk-floor', 'find-repositories', 'host-id', 'passthrough', 'repository-config'].map((name) => `borg/${name}`),
  ...['directives', 'environment-keys', 'from-effect', 'key-file', 'line-slip', 'name-slip'].map(
    (name) => `keys/${name}`,
  ),
  ...['options', 'other-file', 'watch', 'wire-format'].map((name) => `keys/${name}`),
  ...['alarms', 'connections', 'from-allows', 'host-line', 'hosted', 'ledger'].map((name) => `sessions/${name}`),
  ...['newest-process', 'outcome', 'outcomes', 'outsiders', 'revocation'].map((name) => `sessions/${name}`),
  ...['strangers', 'strays', 'traffic', 'trail', 'unseen'].map((name) => `sessions/${name}`),
  ...['keepalive', 'log', 'penalties', 'startups', 'strict-modes'].map((name) => `sshd/${name}`),
  'snapshots/expiry',
].map((name) => `test/${name}.test.ts`);

/** It depends only on how this server reads a folder whether its processes need more memory for more entries. The test takes minutes of CPU. */
export const MEMORY_OF_NODE = 'test/borg/bounded-memory.test.ts';
