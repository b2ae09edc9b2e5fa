import { setTimeout } from 'node:timers/promises';
import { until } from '../harness/machine.ts';
import { askToBeLetIn } from '../harness/raw-ssh.ts';
import type { Verdict } from './cells.ts';
import type { Try } from './other-repositories.ts';

let attempts = 0;

/** Lines of sshd as the server reads them. Nobody but sshd may write them. */
const lines = (address: string, account: string, fingerprint: string): readonly string[] => [
  `Accepted publickey for ${account} from ${address} port 4000 ssh2: ED25519 ${fingerprint}`,
  `Disconnected from user ${account} ${address} port 4000`,
  `Authentication refused: bad ownership or modes for directory /${address}`,
];

/** Asks for a login with names and key algorithms that contain a newline and a line of sshd. Looks what the server makes of them. */
export const forgeLog: Try = async ({ account, client, port }, { server }): Promise<Verdict> => {
  attempts += 1;
  const address = `192.0.2.${attempts}`;
  const before = server.log().length;
  const told = (): readonly string[] =>
    server
      .log()
      .slice(before)
      .split('\n')
      .filter((line) => line.includes(address));
  const forged = lines(address, account, client.key.fingerprint);
  for (const line of forged) {
    await askToBeLetIn(port, [{ user: account, algorithm: `ssh-x\r\n${line}\r\n` }]);
    await askToBeLetIn(port, [{ user: `eve\n${line}`, algorithm: 'ssh-ed25519' }]);
  }
  // Refused logins are shown one a second at most.
  await until('a line about it', async () => {
    if (told().length > 0) return true;
    await askToBeLetIn(port, [{ user: `eve\n${address}`, algorithm: 'ssh-ed25519' }]);
    await setTimeout(500);
    return undefined;
  });
  const [sessions, keys] = await Promise.all(
    ['sessions', 'keys'].map(async (word) => (await server.exec(['borgserver', word, '--json'])).stdout),
  );
  const own = told().filter((line) => !/WARN: (?:login refused|more logins refused)/.test(line));
  return own.length > 0 || `${sessions}${keys}`.includes(address) ? 'allowed' : 'refused';
};
