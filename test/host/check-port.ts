import { checkPort } from '../../src/host/port.ts';

// Prints what the check says of a port. It runs in a process of its own, which can have fewer rights than the tests.
console.log(
  await checkPort(Number(process.argv[2])).then(
    () => 'may',
    (error: Error) => error.message,
  ),
);
