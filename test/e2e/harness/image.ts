import { execFileSync } from 'node:child_process';

/** The image that the suite tests. IMAGE is taken as it is; without IMAGE it is the image that docker-compose.yml builds. */
export const IMAGE = process.env.IMAGE || 'borgserver';

/** Whether the suite has to build the image first. An image in IMAGE is somebody's own, of any Debian. */
export const IS_BUILT_HERE = !process.env.IMAGE;

/** @throws Error with the command that makes one, where there is no such image */
export const seeThatThereIsOne = (): void => {
  try {
    execFileSync('docker', ['image', 'inspect', IMAGE], { stdio: 'ignore' });
  } catch (error) {
    throw new Error(`there is no image ${IMAGE}: IMAGE=${IMAGE} DEBIAN=… docker compose build`, { cause: error });
  }
};
