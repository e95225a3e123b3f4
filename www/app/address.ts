/** What the page's own address asks for: `?model=URL&device=cpu`. */

import { DiffCRError, type DeviceChoice } from 'diffcr-web';

export interface PageOptions {
  /** Address of the bundle; the demo's own when absent. */
  readonly model: string;
  /** Whether it is the demo's own model, whose words are known. */
  readonly scenes: boolean;
  readonly device: DeviceChoice;
}

/** The demo's own bundle: trained to be stored in 4 bits. */
export const DEFAULT_MODEL = 'models/scenes-q4/';

const DEVICES: readonly DeviceChoice[] = ['auto', 'webgpu', 'cpu'];

/** Throws `INVALID_INPUT` on a device that does not exist. */
export function pageOptions(search: string): PageOptions {
  const query = new URLSearchParams(search);
  const model = query.get('model');
  const wanted = query.get('device') ?? 'auto';
  const device = DEVICES.find((each) => each === wanted);
  if (device === undefined) {
    throw new DiffCRError('INVALID_INPUT', `device: ${JSON.stringify(wanted)} in the address is not webgpu, cpu or auto`, {
      field: 'device',
    });
  }
  return { model: model ?? DEFAULT_MODEL, scenes: model === null, device };
}
