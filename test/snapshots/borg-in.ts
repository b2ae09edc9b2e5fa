import { execa } from 'execa';

/** Runs the installed borg in a folder that has what it remembers, too. It asks nothing. */
export const borgIn = (folder: string, words: readonly string[]) =>
  execa('borg', words, {
    cwd: folder,
    env: {
      ...{ BORG_BASE_DIR: `${folder}/base`, BORG_SELFTEST: 'disabled' },
      ...{ BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
    },
  });
