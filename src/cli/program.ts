import { Command, Option } from 'commander';
import type { Places } from '../places.ts';
import { CLIENT_FORMATS } from './client/formats.ts';
import type { ClientOptions } from './client.ts';
import type { DoctorOptions } from './doctor.ts';
import { runEntrypoint, runServerWith } from './entrypoint.ts';
import { runHealthcheck } from './healthcheck.ts';
import type { HistoryOptions } from './history.ts';
import { runKeys } from './keys.ts';
import type { UndoOptions } from './put-back.ts';
import { runEndSessions, runSessions } from './sessions.ts';
import type { SnapshotsOptions } from './snapshots.ts';
import type { StatusOptions } from './status.ts';
import { runUpdate, type UpdateOptions } from './update.ts';

/**
 * Every command with its options, its help and an example. What needs more than an
 * answer of the server is loaded when it runs: most of the time that a short command takes is loading.
 *
 * @param finish gets the exit code of the command that is run, or what it throws
 */
export const createProgram = (
  places: Places,
  version: string,
  finish: (work: Promise<number>) => Promise<void>,
): Command => {
  const program = new Command('borgserver')
    .description('A BorgBackup server for many clients: drop an SSH public key into /sshkeys, back up with borg.')
    .version(version)
    .showHelpAfterError()
    .enablePositionalOptions()
    .addHelpText('after', '\nExample: borgserver status');

  program
    .command('sshd')
    .description('start the server in the foreground (what the container does)')
    .argument('[words...]', 'as sshd takes them: -D -e (always so), -p PORT, -o LogLevel=LEVEL; others are refused')
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nSettings come from the environment.\nExample: SSH_PORT=2222 borgserver sshd\n         borgserver sshd -o LogLevel=VERBOSE',
    )
    .action((words: string[]) => finish(runServerWith(words, places)));

  program
    .command('update')
    .description('look at the key tree now, apply it, and say what was done and what was refused')
    .option('--json', 'print one JSON object', false)
    .option('--dry-run', 'change nothing, print the same', false)
    .option(
      '--confirm <NAME...>',
      'you know that the repository NAME was gone: it is restored, or begins anew; /repos: that its disk is another one',
    )
    .addHelpText(
      'after',
      '\nExit code: 0 all is right, 1 applied but something was refused, 2 stopped by a conflict, 3 failed.\nExample: borgserver update --dry-run',
    )
    .action((options: UpdateOptions) => finish(runUpdate(places, options)));

  program
    .command('keys')
    .description('every key that opens an account: role, last login, fingerprint, options, other accounts it opens')
    .option('--json', 'print a JSON array', false)
    .addHelpText('after', '\nExample: borgserver keys')
    .action((options: { json: boolean }) => finish(runKeys(places, options)));

  program
    .command('status')
    .description('the server, and every repository: size, quota, last backup, lock, and what is wrong with it')
    .option('--json', 'print one JSON object', false)
    .option('--stale-after <duration>', 'how long without a backup is too long: 26h, 3d, never (default: STALE_AFTER)')
    .addHelpText(
      'after',
      '\nExit code: 0, or 1 if a repository had no backup for longer, or new data are refused since a disk is nearly full.\nExample: borgserver status --stale-after 3d',
    )
    .action((options: StatusOptions) =>
      finish(import('./on-this-machine.ts').then(({ runStatus }) => runStatus(places, options))),
    );

  const sessions = program
    .command('sessions')
    .description('who is connected: account, role, address, since when, bytes, what runs, by which key')
    .option('--json', 'print a JSON array', false)
    .option('--watch', 'print it again every second, until Ctrl-C', false)
    .addHelpText('after', '\nExample: borgserver sessions --watch')
    .action((options: { json: boolean; watch: boolean }) => finish(runSessions(places, options)));

  sessions
    .command('end')
    .description('end sessions now; the key stays, so the client may come back')
    .argument('<selector>', 'an account, a key fingerprint (SHA256:…), or ADDRESS:PORT')
    .addHelpText('after', '\nExample: borgserver sessions end web01')
    .action((selector: string) => finish(runEndSessions(places, selector)));

  program
    .command('healthcheck')
    .description('exit 0 if the server answers, its last update did not fail, /repos can be written and sshd greets')
    .addHelpText('after', '\nExample: borgserver healthcheck')
    .action(() => finish(runHealthcheck(places)));

  program
    .command('doctor')
    .description('look at everything that is known to go wrong, each with its cure')
    .option('--fix', 'repair the owners and modes of repositories first', false)
    .option('--json', 'print a JSON array', false)
    .addHelpText('after', '\nExit code by the worst line: 0 ok, 1 warning, 2 error.\nExample: borgserver doctor --fix')
    .action((options: DoctorOptions) =>
      finish(import('./on-this-machine.ts').then(({ runDoctor }) => runDoctor(places, options))),
    );

  program
    .command('client')
    .description('what to send to the owner of a key: commands or configuration, with the right URL and host keys')
    .argument('<name>', 'the account')
    .addOption(new Option('--format <format>', 'for what').choices(CLIENT_FORMATS).default('shell'))
    .option('--host <host>', 'how clients reach the server: name or address (default: PUBLIC_HOST)')
    .option('--port <port>', 'and on which port (default: PUBLIC_PORT, else what the compose file publishes)')
    .option(
      '--identity <file>',
      'path of the private key on the client: ~/.ssh/borg (default: what ssh takes by itself)',
    )
    .option(
      '--repository <name>',
      'for an admin the repository to back up to, else NAME/FOLDER where an account has several',
    )
    .addHelpText('after', '\nExample: borgserver client web01 --host backup.example.org --format borgmatic')
    .action((name: string, options: ClientOptions) =>
      finish(import('./on-this-machine.ts').then(({ runClient }) => runClient(places, name, options))),
    );

  program
    .command('borg')
    .description('run a borg command on repositories of this server, as their owner')
    .argument(
      '[words...]',
      'the command as borg takes it; NAME is /repos/NAME, NAME@7 its snapshot 7, all every repository',
    )
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .addHelpText('after', '\nExample: borgserver borg list web01\n         borgserver borg list web01@7')
    .action((words: string[]) =>
      finish(import('./on-this-machine.ts').then(({ runBorgCommand }) => runBorgCommand(words, places))),
    );

  program
    .command('maintenance')
    .description('make room in a repository that is over its quota, as its owner: prune, delete, compact')
    .argument('<name>', 'the repository: NAME, or NAME/FOLDER where an account has several')
    .argument('[words...]', 'after --: the command as borg takes it, an archive as ::ARCHIVE')
    .passThroughOptions()
    .addHelpText(
      'after',
      `
For this one run the repository has no quota, and it waits for its lock. What prune and delete
remove is freed by compact. Exit code: borg's.
Example: borgserver maintenance web01 -- prune --keep-daily 7
         borgserver maintenance web01 -- compact`,
    )
    .action((name: string, words: string[]) =>
      finish(import('./on-this-machine.ts').then(({ runMaintenance }) => runMaintenance(name, words, places))),
    );

  program
    .command('snapshots')
    .description('the states of repositories that the server keeps; take one now, remove some')
    .argument('[name]', 'a repository: NAME, or NAME/FOLDER where an account has several')
    .option('--json', 'print a JSON array', false)
    .option('--take', 'take one now, if anything has changed; without a name of all repositories', false)
    .option('--remove <which...>', "numbers of snapshots, or 'older' (all but the newest), or 'all'")
    .option('--yes', 'remove them without being asked', false)
    .addHelpText(
      'after',
      '\nExample: borgserver snapshots web01\n         borgserver snapshots web01 --remove older --yes',
    )
    .action((name: string | undefined, options: SnapshotsOptions) =>
      finish(import('./on-this-machine.ts').then(({ runSnapshots }) => runSnapshots(places, name, options))),
    );

  program
    .command('history')
    .description('what has happened to a repository, by whom, and what of it looks like an attack; the newest first')
    .argument('<name>', 'the repository: NAME, or NAME/FOLDER where an account has several')
    .option('--json', 'print a JSON array', false)
    .option('--all', 'also what is older than the last 20', false)
    .option('--transactions', 'each transaction of an append-only repository, and when it was committed', false)
    .option('--seen', 'you have looked at it: status does not show it as attacked any more', false)
    .addHelpText(
      'after',
      '\nExit code: 0, 1 if anything looks like an attack and was not seen, 2 refused.\nExample: borgserver history web01\n         borgserver history db01 --transactions',
    )
    .action((name: string, options: HistoryOptions) =>
      finish(import('./on-this-machine.ts').then(({ runHistory }) => runHistory(places, name, options))),
    );

  program
    .command('undo')
    .description(
      'put a repository back as a snapshot has it, or as it was at a transaction; what is there now stays, as another snapshot',
    )
    .argument('<name>', 'the repository: NAME, or NAME/FOLDER where an account has several')
    .option(
      '--to <which>',
      'the number of a snapshot, or a time: the last one until then (default: the one before the present state)',
    )
    .option('--to-transaction <number>', 'to this transaction, if nobody has compacted since')
    .option('--dry-run', 'only show what comes back and what goes', false)
    .option('--yes', 'do it without being asked', false)
    .option('--keep-key', 'leave the present key, with its passphrase', false)
    .option('--other-repository', 'also where the present repository is another one, which was made since', false)
    .option('--no-check', 'do not have borg look at every byte of the snapshot first')
    .option('--lock-wait <seconds>', 'for how long it waits until nobody uses the repository', '60')
    .addHelpText(
      'after',
      `
It ends the sessions of the account, and puts the whole repository in place in one step. Exit code: 0 done, 1 nobody said yes,
2 refused; after 1 and 2 nothing was changed. 3: it was ended in the middle.
Example: borgserver undo web01
         borgserver undo web01 --to 2026-11-20T03:00Z --yes
         borgserver undo db01 --to-transaction 31`,
    )
    .action((name: string, options: UndoOptions) =>
      finish(import('./on-this-machine.ts').then(({ runUndo }) => runUndo(places, name, options))),
    );

  program
    .command('repair')
    .description('put right what doctor has found in a repository, as its owner')
    .argument('<name>', 'the repository: NAME, or NAME/FOLDER where an account has several')
    .argument(
      '<what>',
      'nonce: a counter that a client has raised to its end; former-keys: keys that were replaced, and are not needed; integrity: checksums that a power cut has spoiled; config: the former one is put back',
    )
    .addHelpText('after', '\nExample: borgserver repair web01 nonce')
    .action((name: string, what: string) =>
      finish(import('./on-this-machine.ts').then(({ runRepair }) => runRepair(name, what, places))),
    );

  program
    .command('entrypoint', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .addHelpText('after', '\nExample: borgserver entrypoint check --repository-only all')
    .action((words: string[]) => finish(runEntrypoint(words, places)));

  return program;
};
