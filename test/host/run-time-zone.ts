import { checkTimeZone } from '../../src/host/time-zone.ts';

await checkTimeZone(process.env.TZ, Date.now()).then(
  () => console.log('same'),
  (error: Error) => console.log(JSON.stringify(error.cause)),
);
