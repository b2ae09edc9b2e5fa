import { diagnoseOwnName } from '../../src/doctor/diagnose-own-name.ts';

// In a process of its own, so that it can stand in another network: run-own-name.ts MILLISECONDS
console.log(JSON.stringify(await diagnoseOwnName(Number(process.argv[2]))));
