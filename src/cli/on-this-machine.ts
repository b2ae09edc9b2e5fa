/**
 * The commands that read settings and repositories or run programs, and do not only ask the server. They are loaded in one piece: what they
 * need is mostly the same, and many small files take longer to load than one.
 */
export { runBorgCommand } from './borg.ts';
export { runClient } from './client.ts';
export { confirmsDisk, runConfirmDisk } from './confirm-disk.ts';
export { runDoctor } from './doctor.ts';
export { runHistory } from './history.ts';
export { runMaintenance } from './maintenance.ts';
export { runRepair } from './repair.ts';
export { runSnapshots } from './snapshots.ts';
export { runStatus } from './status.ts';
export { runUndo } from './undo.ts';
