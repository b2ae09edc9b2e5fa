/**
 * Files in folders of `test/units-in-image` that an image cannot change, and why: run once, on the machine itself. Node is the same there.
 * What starts borg, OpenSSH or Python, or looks at the kernel's box, never stands here.
 */
export const NOT_OF_THE_IMAGE: readonly string[] = [
  // Values in, values out, or files that the test itself has made; not-of-the-image.test.ts sees that they start no program.
  ...['disk-floor', 'find-repositories', 'host-id', 'passthrough', 'repository-config'].map((name) => `borg/${name}`),
  ...['directives', 'environment-keys', 'from-effect', 'key-file', 'line-slip', 'name-slip'].map(
    (name) => `keys/${name}`,
  ),
  ...['options', 'other-file', 'watch', 'wire-format'].map((name) => `keys/${name}`),
  ...['alarms', 'connections', 'from-allows', 'host-line', 'hosted', 'ledger'].map((name) => `sessions/${name}`),
  ...['newest-process', 'outcome', 'outcomes', 'outsiders', 'revocation'].map((name) => `sessions/${name}`),
  ...['strangers', 'strays', 'traffic', 'trail', 'unseen'].map((name) => `sessions/${name}`),
  ...['keepalive', 'log', 'penalties', 'startups', 'strict-modes'].map((name) => `sshd/${name}`),
].map((name) => `test/${name}.test.ts`);

/** What its processes take in memory grows with a folder's entries or does not, by how this server reads it; it takes minutes of CPU. */
export const MEMORY_OF_NODE = 'test/borg/bounded-memory.test.ts';
