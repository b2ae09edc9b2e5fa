import {
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ArchiveMemory, findLastArchive, type RememberedArchive } from '../../src/borg/last-archive.ts';
import { inFolder } from '../../src/system/folder-handle.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'last-archive-'));
  mkdirSync(join(root, 'data/0'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const entry = (tag: number, id: string, data = ''): Buffer => {
  const body = Buffer.concat([Buffer.alloc(5), Buffer.from(id, 'hex'), Buffer.from(data)]);
  body.writeUInt32LE(body.length + 4, 0);
  body[4] = tag;
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(body));
  return Buffer.concat([sum, body]);
};
const idOf = (n: number): string => n.toString(16).padStart(64, '0');
const put = (n: number, data = 'data'): Buffer => entry(0, idOf(n), data);
const remove = (n: number): Buffer => entry(1, idOf(n));
const MANIFEST = 0;
const commit = entry(2, '');

const pathOf = (segment: number): string => join(root, 'data/0', String(segment));
const timeOf = (segment: number): number => 1_700_000_000_000 + segment * 1000;
const write = (segment: number, ...entries: readonly Buffer[]): void => {
  writeFileSync(pathOf(segment), Buffer.concat([Buffer.from('BORG_SEG'), ...entries]));
  utimesSync(pathOf(segment), timeOf(segment) / 1000, timeOf(segment) / 1000);
};
/** Writes an archive as a client does. Its number is its id. @returns the last segment */
const archive = (from: number, id: number): number => {
  write(from, put(1000 + id), put(2000 + id), put(id));
  write(from + 1, remove(MANIFEST));
  write(from + 2, put(MANIFEST));
  write(from + 3, commit);
  return from + 3;
};
/** A compaction moves what is in these segments. */
const compact = (from: number, ...gone: readonly number[]): number => {
  write(from, put(1), put(2));
  write(from + 1, commit);
  for (const each of gone) rmSync(pathOf(each));
  return from + 1;
};
const find = (transaction: number, memory?: ArchiveMemory) =>
  inFolder(root, (folder) => findLastArchive(folder, transaction, 1000, 'id', memory));

const UNKNOWN = { finished: null, moved: null, unknown: true };
const seen = (segment: number | null, moved: number | null = null) => ({
  ...{
    finished: segment === null ? null : timeOf(segment),
    moved: moved === null ? null : timeOf(moved),
    unknown: false,
  },
});

it('the segment that the last archive ends tells when that was', () => {
  archive(0, 7);
  expect(find(archive(4, 8))).toEqual(seen(4));
});

it('a compaction is no archive: its date is told, since an archive before it may have left no trace', () => {
  archive(0, 7);
  archive(4, 8);
  expect(find(compact(8, 4, 5, 7))).toEqual(seen(0, 8));
  expect(find(compact(10, 0, 1, 3))).toEqual(seen(null, 10));
});

describe('what no client writes gives no date at all', () => {
  const tricks: readonly (readonly [string, () => unknown])[] = [
    ['a pipe', () => execa('mkfifo', [pathOf(4)])],
    ['a link', () => symlinkSync('0', pathOf(4))],
    ['a folder', () => mkdirSync(pathOf(4))],
    ['an empty file', () => writeFileSync(pathOf(4), '')],
    ['one that is cut off', () => truncateSync(write4(), 60)],
    ['a commit with a wrong checksum', () => writeFileSync(pathOf(4), bend(Buffer.from('BORG_SEG'), commit))],
    [
      'an archive with a wrong checksum',
      () => writeFileSync(pathOf(4), bend(Buffer.from('BORG_SEG'), put(1008), put(8))),
    ],
    ['a length that lies', () => writeFileSync(pathOf(4), lying())],
    ['a file of somebody else’s', () => chownSync(write4(), 12_345, 12_345)],
    ['a hard link to one', () => foreign()],
  ];
  const write4 = (): string => {
    write(4, put(1008), put(8));
    return pathOf(4);
  };
  /** The checksum of the last entry. */
  const bend = (...parts: readonly Buffer[]): Buffer => {
    const bytes = Buffer.concat(parts);
    const at = bytes.length - (parts.at(-1)?.length ?? 0);
    bytes.writeUInt32LE((bytes.readUInt32LE(at) ^ 1) >>> 0, at);
    return bytes;
  };
  const lying = (): Buffer => {
    const bytes = Buffer.concat([Buffer.from('BORG_SEG'), put(8)]);
    bytes.writeUInt32LE(0xffff_fff0, 12);
    return bytes;
  };
  const foreign = (): void => {
    writeFileSync(join(root, 'foreign'), Buffer.concat([Buffer.from('BORG_SEG'), put(8)]));
    chownSync(join(root, 'foreign'), 12_345, 12_345);
    linkSync(join(root, 'foreign'), pathOf(4));
  };

  it.each(tricks)('%s', async (_, trick) => {
    archive(0, 7);
    archive(4, 8);
    rmSync(pathOf(4));
    await trick();
    expect(find(7)).toEqual(UNKNOWN);
  });

  it('a link in place of the folder of the segments', () => {
    archive(0, 7);
    rmSync(join(root, 'data/0'), { recursive: true });
    mkdirSync(join(root, 'elsewhere'));
    symlinkSync('../elsewhere', join(root, 'data/0'));
    expect(find(3)).toEqual(UNKNOWN);
  });

  it('but a file that an admin has written counts: its group is the tenant’s', () => {
    archive(0, 7);
    chownSync(pathOf(0), 12_345, process.getgid?.() ?? 0);
    expect(find(3)).toEqual(seen(0));
  });
});

it('a million tiny entries cost no more than a few', () => {
  archive(0, 7);
  write(4, Buffer.alloc(41_000_000, remove(9)), put(8));
  for (const [segment, each] of [remove(MANIFEST), put(MANIFEST), commit].entries()) write(5 + segment, each);
  expect(find(7)).toEqual(seen(4));
});

it('whatever bytes are in place of segments, every date that is told is that of an archive', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const nonsense = fc.oneof(
    bytes.map((each) => Buffer.from(each)),
    bytes.map((each) => Buffer.concat([Buffer.from('BORG_SEG'), each])),
  );
  const bent = fc.tuple(fc.nat(60), bytes).map(([at, each]) => {
    const whole = Buffer.concat([Buffer.from('BORG_SEG'), put(1008), put(8)]);
    whole.set(each.subarray(0, Math.max(0, whole.length - at)), at);
    return whole;
  });
  const damage = fc.oneof(fc.tuple(fc.nat(8), nonsense), fc.tuple(fc.constant(4), bent));
  fc.assert(
    fc.property(fc.array(damage, { maxLength: 3 }), (damages) => {
      archive(0, 7);
      archive(4, 8);
      for (const [segment, content] of damages) {
        writeFileSync(pathOf(segment), content);
        utimesSync(pathOf(segment), 1, 1);
      }
      const told = find(7);
      const isDamaged = (segment: number): boolean => damages.some(([each]) => each === segment);
      if (told?.unknown) expect(damages.length).toBeGreaterThan(0);
      else if (!isDamaged(4)) expect(told?.finished).toBe(timeOf(4));
      else expect(damages.some(([, content]) => content.includes(Buffer.from(idOf(8), 'hex')))).toBe(true);
      rmSync(join(root, 'data/0'), { recursive: true });
      mkdirSync(join(root, 'data/0'));
    }),
    { numRuns: 300 },
  );
});

describe('what is remembered', () => {
  const remembering = () => {
    const kept = new Map<string, RememberedArchive>();
    const memory: ArchiveMemory = { recall: (id) => kept.get(id), note: (id, found) => kept.set(id, found) };
    return memory;
  };

  it('is not read again until something was written', () => {
    const memory = remembering();
    archive(0, 7);
    archive(4, 8);
    expect(find(7, memory)).toEqual(seen(4));
    writeFileSync(pathOf(4), 'nonsense');
    expect(find(7, memory)).toEqual(seen(4));
    write(7, commit, commit);
    expect(find(7, memory)).toEqual(UNKNOWN);
  });

  it('outlives the compaction that has moved the archive', () => {
    const memory = remembering();
    archive(0, 7);
    archive(4, 8);
    // A prune comes after the archive: so it is known what comes next, and the archive is no checkpoint.
    write(8, remove(7));
    write(9, remove(MANIFEST));
    write(10, put(MANIFEST));
    write(11, commit);
    expect(find(11, memory)).toEqual(seen(4));
    expect(find(compact(12, 4, 5, 7, 8, 9, 11), memory)).toEqual(seen(4, 12));
    expect(find(13)).toEqual(seen(0, 12));
    expect(find(archive(14, 9), memory)).toEqual(seen(14));
  });

  it('is forgotten if only what comes later shows that it was a checkpoint', () => {
    const memory = remembering();
    archive(0, 7);
    expect(find(archive(4, 8), memory)).toEqual(seen(4));
    write(8, remove(8), put(1009), put(9));
    expect(find(7, memory)).toEqual(seen(0));
  });
});
