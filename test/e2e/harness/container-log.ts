import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * Reads all that a container has written until now, as `docker logs` tells it.
 *
 * @param file where the engine keeps the log (`docker inspect -f '{{.LogPath}}'`). To read the file costs microseconds, a `docker logs`
 *   costs tens of milliseconds, and a test that waits for a line looks fifty times a second.
 */
export const containerLog = (container: string, file: string): (() => string) => {
  let text = '';
  let rest = Buffer.alloc(0);
  let read = 0;

  return () => {
    // The engine has begun a new file (`max-size`), or the file is out of reach: it is on another machine, or of another driver.
    if (existsSync(`${file}.1`) || !existsSync(file)) return askEngine(container);
    const log = openSync(file, 'r');
    try {
      const more = Buffer.alloc(fstatSync(log).size - read);
      read += readSync(log, more, 0, more.length, read);
      rest = Buffer.concat([rest, more]);
    } finally {
      closeSync(log);
    }
    const end = rest.lastIndexOf(10) + 1;
    for (const line of rest.subarray(0, end).toString().split('\n').slice(0, -1)) text += JSON.parse(line).log;
    rest = rest.subarray(end);
    return text;
  };
};

const askEngine = (container: string): string =>
  execFileSync('sh', ['-c', `docker logs ${container} 2>&1`], { encoding: 'utf8', maxBuffer: Infinity });
