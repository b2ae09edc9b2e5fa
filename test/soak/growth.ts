import type { Look } from './server-processes.ts';

/** What each look saw one daemon use, and the session host beside it, in the order of time. */
export type Figures = readonly Pick<Look, 'memory' | 'files' | 'processes' | 'host'>[];

/** Room for what comes and goes: sessions, a late garbage collection. The host has no garbage collection, and two descriptors a session. */
const ROOM = { memory: 25, files: 12, processes: 12, 'memory of the host': 4, 'files of the host': 12 } as const;
/** With fewer looks than this, a third of them tells nothing. */
const FEWEST = 9;

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

export type Growth = Readonly<Record<keyof typeof ROOM, readonly [first: number, last: number]>>;

/** The medians of the first and the last third. Null for a daemon that did not live long enough. */
export const growthOf = (figures: Figures): Growth | null => {
  if (figures.length < FEWEST) return null;
  const third = Math.floor(figures.length / 3);
  const pair = (of: (each: Figures[number]) => number): readonly [number, number] => [
    median(figures.slice(0, third).map(of)),
    median(figures.slice(-third).map(of)),
  ];
  return {
    ...{ memory: pair(({ memory }) => memory), files: pair(({ files }) => files) },
    processes: pair(({ processes }) => processes),
    'memory of the host': pair(({ host }) => host?.memory ?? 0),
    'files of the host': pair(({ host }) => host?.files ?? 0),
  };
};

/** What has grown by more than what comes and goes. */
export const grown = (growth: Growth): readonly string[] =>
  (Object.keys(ROOM) as (keyof typeof ROOM)[])
    .filter((what) => growth[what][1] - growth[what][0] > ROOM[what])
    .map((what) => `${what}: ${growth[what].join(' at first, at last ')}`);
