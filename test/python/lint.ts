import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Diagnostic, PositionEncoding, Workspace } from '@astral-sh/ruff-wasm-nodejs';

// node test/python/lint.ts [FOLDER]: what `npm run lint` holds the Python to. Ruff comes as WebAssembly from npm, so that a machine
// needs no Python for it. pyrightconfig.json says which files, for this and for `npm run types`.

const OPTIONS = {
  'target-version': 'py311',
  'line-length': 150,
  lint: {
    // Errors and unused names (E, F, W, ARG), what is likely wrong (B, PLE, PLW), and what could be said more plainly.
    select: ['E', 'F', 'W', 'ARG', 'B', 'C4', 'FLY', 'I', 'ISC', 'PIE', 'PLE', 'PLW', 'RET', 'RSE', 'SIM', 'T10', 'UP'],
    ignore: [
      // A session's first answer waits for each import: no contextlib where try and pass are enough.
      'SIM105',
      // Bytes have no other format, and lines that mix both would be harder to read.
      'UP031',
      // `return refuse(…)` says in one line that nothing comes after it.
      'RET502',
      'RET503',
      // The launcher's words come in pairs and end where one is missing.
      'B905',
      // One module remembers one thing for its process.
      'PLW0603',
      'PLW2901',
      'SIM108',
      'SIM115',
    ],
    isort: { 'known-first-party': ['launcher', 'snapshots'], 'known-third-party': ['borg'] },
  },
};

const folder = process.argv[2] ?? join(import.meta.dirname, '../..');
const { include } = JSON.parse(readFileSync(join(folder, 'pyrightconfig.json'), 'utf8')) as { include: string[] };
const files = include.flatMap((each) =>
  statSync(join(folder, each)).isDirectory() ? globSync(`${each}/**/*.py`, { cwd: folder }) : [each],
);
const ruff = new Workspace(OPTIONS, PositionEncoding.Utf16);
const found = files.flatMap((file) =>
  (ruff.check(readFileSync(join(folder, file), 'utf8')) as Diagnostic[]).map(
    ({ code, message, start_location: { row, column } }) => `${file}:${row}:${column} ${code ?? 'syntax'} ${message}`,
  ),
);
for (const each of found) console.error(each);
console.log(`ruff ${Workspace.version()}: ${files.length} files, ${found.length} findings`);
process.exitCode = found.length === 0 && files.length > 0 ? 0 : 1;
