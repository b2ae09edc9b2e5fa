import { isDeepStrictEqual } from 'node:util';
import { until } from '../e2e/harness/machine.ts';
import { sessionsOf } from '../e2e/harness/sessions.ts';
import { fateOf } from './access.ts';
import type { Live } from './live-sessions.ts';
import type { Model, OpenSession } from './model.ts';
import type { Scene } from './scene.ts';

/**
 * Holds that the sessions that the model no longer allows have ended, that all others still run, and that the server knows
 * exactly those.
 *
 * @returns the sessions that have ended
 */
export const expectFates = async (
  scene: Scene,
  { sessions, access }: Model,
  live: ReadonlyMap<number, Live>,
): Promise<readonly OpenSession[]> => {
  const fated = sessions.map((session) => ({ session, fate: fateOf(session, access, Date.now()) }));
  const staying = fated.filter(({ fate }) => fate === 'goes on').map(({ session }) => session);
  const doubtful = fated.filter(({ fate }) => fate === 'either').map(({ session }) => session);
  await expectKnown(scene, staying, doubtful);
  for (const session of staying) {
    const { connection } = lifeOf(live, session);
    if (connection.over())
      throw new Error(`${nameOf(session)} ended, and should go on: ${(await connection.ended()).stderr}`);
  }
  const gone = doubtful.filter((session) => lifeOf(live, session).connection.over());
  const ended = [...fated.filter(({ fate }) => fate === 'ends').map(({ session }) => session), ...gone];
  for (const session of ended) await expectEnded(lifeOf(live, session), session);
  return ended;
};

/** Resolves once the connection has ended. A backup hears of the end when it writes, and must not have succeeded. */
export const expectEnded = async (live: Live, session: OpenSession): Promise<void> => {
  if (session.how !== 'backup') {
    await live.connection.ended();
    return;
  }
  const { how } = await live.finish();
  if (how.exitCode === 0) throw new Error(`${nameOf(session)} was half sent when it was ended, and succeeded`);
};

const nameOf = ({ id, how, account, key }: OpenSession): string =>
  `session ${id} (${how}) of ${account} with key ${key}`;

const lifeOf = (live: ReadonlyMap<number, Live>, session: OpenSession): Live => {
  const found = live.get(session.id);
  if (!found) throw new Error(`${nameOf(session)} was lost`);
  return found;
};

/** Compares the server's own list, without sessions that may be ending just now. A session that has just ended may be listed for a moment. */
const expectKnown = async (
  scene: Scene,
  staying: readonly OpenSession[],
  doubtful: readonly OpenSession[],
): Promise<void> => {
  const label = ({ account, key }: OpenSession): string => `${account} ${scene.keys[key]?.fingerprint}`;
  const ignored = new Set(doubtful.map(label));
  const counted = (labels: readonly string[]): readonly string[] => labels.filter((each) => !ignored.has(each)).sort();
  const wanted = counted(staying.map(label));
  let found: readonly string[] = [];
  const agrees = async (): Promise<boolean> => {
    const all = await sessionsOf(scene.server);
    found = counted(all.map(({ account, fingerprint }) => `${account} ${fingerprint}`));
    return isDeepStrictEqual(found, wanted);
  };
  await until('the sessions to be those that may be', agrees).catch((error: unknown) => {
    const lists = `  ${found.join('\n  ')}\nand should know\n  ${wanted.join('\n  ')}`;
    throw new Error(`the server knows the sessions\n${lists}`, { cause: error });
  });
};
