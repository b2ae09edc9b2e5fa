/** The most bytes of a repository's config that are read. A key in it has about a kilobyte. */
export const MAX_CONFIG_BYTES = 1 << 16;

/** What a repository's config says. A client with full access may have written anything there. */
export type RepositoryConfig = {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly segmentsPerDir: number;
  readonly appendOnly: boolean;
  /** Bytes; null: none. It counts only where `borg serve` gets no other quota. */
  readonly quota: number | null;
  /** Whether the client's key, locked with its passphrase, is kept here. */
  readonly hasKey: boolean;
};

/**
 * Reads `config` of a borg 1.x repository: an ini file as Python's configparser writes it, with a section `repository`
 * (borg/repository.py, create and open).
 *
 * @returns null where it has another form, so is no repository of borg 1.x
 */
export const readRepositoryConfig = (text: string): RepositoryConfig | null => {
  const lines = text.split('\n');
  if (lines.find((line) => line.trim() !== '') !== '[repository]') return null;
  const values = new Map(
    lines.flatMap((line) => {
      // An operator may also write `append_only: 1`. A regular expression for the blanks after the value would take seconds for 64 KiB of them.
      const match = /^([A-Za-z_]+)\s*[=:](.*)$/.exec(line);
      return match ? [[(match[1] ?? '').toLowerCase(), (match[2] ?? '').trim()] as const] : [];
    }),
  );
  const id = values.get('id') ?? '';
  const segmentsPerDir = whole(values.get('segments_per_dir'));
  if (values.get('version') !== '1' || !/^[0-9a-f]{64}$/.test(id) || !segmentsPerDir) return null;
  return {
    // A copy: a part of a string keeps the whole text in memory.
    ...{
      id: Buffer.from(id).toString(),
      segmentsPerDir,
      appendOnly: /^(1|yes|true|on)$/i.test(values.get('append_only') ?? ''),
    },
    quota: size(values.get('storage_quota')) || null,
    // The lines of the key are indented, and the first may be empty.
    hasKey: values.has('key') || lines.includes('key ='),
  };
};

const whole = (text: string | undefined): number => (text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0);

/** A size, also as `borg config NAME storage_quota 50G` leaves it (borg/helpers/parseformat.py, parse_file_size). */
const size = (text: string | undefined): number => {
  const match = /^(\d{1,15}(?:\.\d{1,15})?)([KMGTP]?)$/.exec(text ?? '');
  return match ? Math.round(Number(match[1]) * 1000 ** ' KMGTP'.indexOf(match[2] || ' ')) : 0;
};
