// Has V8 compile the parts of the program that a command loads only when it needs them, and keeps that beside them as start.js does. It runs
// once, where the program is installed: later nothing can be kept.
import { readdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

const here = import.meta.dirname;
try {
  enableCompileCache({ directory: join(here, 'compile-cache'), portable: true });
} catch {
  // Node.js before 24.12 takes no object: V8 compiles as usual.
}
// As esbuild names them: by what is in them.
const parts = readdirSync(here).filter((name) => /-[0-9A-Z]{8}\.js$/.test(name));
for (const part of parts) await import(`./${part}`);
