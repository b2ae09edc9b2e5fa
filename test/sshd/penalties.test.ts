import { expect, test } from 'vitest';
import { effectiveOptions } from '../../src/sshd/effective.ts';
import { PENALTIES, penaltiesOf, penaltyClasses, unknownPenalties } from '../../src/sshd/penalties.ts';

const LIMITS = 'max:600 min:15 max-sources4:65536 max-sources6:65536 overflow:permissive overflow6:permissive';
const PRINTED = {
  '10.0': `persourcepenalties crash:90 authfail:5 noauth:1 grace-exceeded:10 refuseconnection:10 ${LIMITS}\n`,
  '10.6': `PerSourcePenalties crash:90.000000 authfail:5.000000 noauth:1.000000 invaliduser:5.000000 grace-exceeded:10.000000 refuseconnection:10.000000 ${LIMITS}\n`,
};
const classesOf = (printed: string) => penaltyClasses(effectiveOptions(printed).get('persourcepenalties') ?? '');

test('the classes are read as each release prints them; the limits are no classes', () => {
  const common = ['crash', 'authfail', 'noauth', 'grace-exceeded', 'refuseconnection'];
  expect([...classesOf(PRINTED['10.0'])].sort()).toEqual([...common].sort());
  expect([...classesOf(PRINTED['10.6'])].sort()).toEqual([...common, 'invaliduser'].sort());
  expect(penaltyClasses('no')).toEqual([]);
  expect(penaltyClasses('')).toEqual([]);
});

test('each class that this sshd knows is in the configuration, and no other', () => {
  expect(penaltiesOf(classesOf(PRINTED['10.0']))).toBe(
    'crash:90 authfail:0 noauth:0 grace-exceeded:10 refuseconnection:10',
  );
  expect(penaltiesOf(classesOf(PRINTED['10.6']))).toBe(
    'crash:90 authfail:0 noauth:0 invaliduser:0 grace-exceeded:10 refuseconnection:10',
  );
  expect(penaltiesOf([])).toBe('');
});

test('a class of a release to come is neither set nor overlooked', () => {
  const classes = classesOf(PRINTED['10.6'].replace('noauth:1.0', 'slowness:2.5 noauth:1.0'));
  expect(unknownPenalties(classes)).toEqual(['slowness']);
  expect(penaltiesOf(classes)).toBe(penaltiesOf(Object.keys(PENALTIES)));
});
