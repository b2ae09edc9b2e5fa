import { checkPort } from '../../src/host/port.ts';

// Says what the check says of a port: for a process with fewer rights than the tests have.
console.log(
  await checkPort(Number(process.argv[2])).then(
    () => 'may',
    (error: Error) => error.message,
  ),
);
