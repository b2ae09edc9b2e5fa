import { BASE_ENVIRONMENT } from '../e2e/harness/machine.ts';
import { run } from '../e2e/harness/program.ts';
import type { Row } from './measure.ts';

/** (g) The image's layers, where Docker has one. */
export const benchImage = async (): Promise<Row[]> => {
  const format = '{{.Size}}\t{{.CreatedBy}}';
  const words = ['history', '--no-trunc', '--human=false', '--format', format, 'borgserver'];
  const listed = await run('docker', words, BASE_ENVIRONMENT, { reject: false }).catch(() => null);
  if (listed?.exitCode !== 0) return [];
  const layers = listed.stdout
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([size, by = '']) => ({ size: Number(size) / 1e6, by: by.replace(/^RUN |^\|1 \S* /, '').trim() }))
    .filter(({ size }) => size >= 0.1);
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  return [
    {
      part: 'g',
      what: 'image',
      unit: 'MB',
      ours: total,
      beside: { what: 'its base', figure: layers.at(-1)?.size ?? 0 },
    },
    ...layers.map(
      ({ size, by }): Row => ({
        ...{ part: 'g', what: `  ${by.slice(0, 46)}`, unit: 'MB', ours: size },
        beside: { what: 'the image', figure: total },
      }),
    ),
  ];
};
