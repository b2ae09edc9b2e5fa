/**
 * npm run soak [-- --minutes 30] [--seed N]: random key changes, logins, backups, revocations and restarts of a real server
 * against a model of who may do what. Needs root, borg and sshd. E2E_TARGET=container does it with the image.
 */
import { parseArgs } from 'node:util';
import prepareMachine from '../e2e/harness/prepare-machine.ts';
import { soak } from './run.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes ?? 30);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error('--minutes needs a number, --seed a whole one');

console.log(`seed ${seed}, ${minutes} minutes`);
await prepareMachine();
try {
  const { took, growth, ...result } = await soak({ seed, length: { minutes }, say: console.log });
  console.log(JSON.stringify({ seed, ...result, growth }));
  const at = (share: number): number => Math.round(took[Math.floor(took.length * share)] ?? 0);
  console.log(`a change was taken up in ${at(0.5)} ms (median), at worst in ${at(1 - 1e-9)} ms, of ${took.length}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
