import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from '../harness/raw-borg.ts';
import type { Try } from './other-repositories.ts';
import { there } from './running.ts';
import { speak } from './scene.ts';
import { judge } from './verdict.ts';

/** Below a folder that the actor may write to. */
const NAMES = ['.made', '.made/below', 'made/.below', './.made', 'x/../.made', '.borgserver', '.borgserver/made'];

/** Asks by borg's protocol, because borg's own client tidies up paths before it sends them. Each name is refused as such, whoever may write there. */
export const dotNames: Try = async (actor, { plain, server }) => {
  const { column, own, account } = actor;
  const control = column === 'control';
  const places = control ? [plain.folder] : ['/repos', own, ...(column === 'admin' ? [] : [`/repos/${account}`])];
  const paths = places.flatMap((place) => NAMES.map((name) => `${place}/${name}`));
  const calls = paths.flatMap((path) => [
    open(path, { lock: false }),
    open(path, { create: true, make_parent_dirs: true, lock: false }),
  ]);
  const { stdout, stderr } = await speak(actor, control ? calls.slice(0, 2) : calls);
  if (control) {
    const made = join(plain.folder, '.made');
    const effect = await there(join(made, 'config'));
    await rm(made, { recursive: true, force: true });
    return judge(effect, `${stdout}${stderr}`);
  }
  const refused = stdout.match(/exception_class.PathNotAllowed/gs)?.length ?? 0;
  if (column !== 'no key' && refused !== calls.length) throw new Error(`${refused} of ${calls.length}: ${stdout}`);
  const look = places.map((place) => `${place}/.made ${place}/made ${place}/.borgserver/*`).join(' ');
  const found = await server.exec(['sh', '-c', `ls -d ${look} 2>/dev/null | grep made`], { reject: false });
  return judge(found.stdout !== '', `${stdout}${stderr}`);
};
