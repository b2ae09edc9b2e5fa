import { diagnoseOwnName } from '../../src/doctor/diagnose-own-name.ts';

// Runs the check in a process of its own, so that it can be in another network: run-own-name.ts MILLISECONDS
console.log(JSON.stringify(await diagnoseOwnName(Number(process.argv[2]))));
