/** What the page's own address asks for, `?model=URL&device=cpu`, and the settings of a run in it, `?prompt=…&seed=7`. */

import { DiffCRError, SOLVERS, type DeviceChoice, type RunParams } from 'diffcr-web';
import { sidesOf, sizeText, type Form } from './form.ts';

export interface PageOptions {
  /** Address of the bundle; the demo's own when absent. */
  readonly model: string;
  /** Whether it is the demo's own model, whose words are known. */
  readonly scenes: boolean;
  readonly device: DeviceChoice;
  /** Whether the first picture draws itself: `draw=no` leaves it to the reader. */
  readonly draws: boolean;
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
  return { model: model ?? DEFAULT_MODEL, scenes: model === null, device, draws: query.get('draw') !== 'no' };
}

/** The page's address with another model: the prompt and the settings were those of this one. */
export function otherModel(page: string, model: string): string {
  const link = new URL(page);
  for (const name of Object.values(NAMES)) link.searchParams.delete(name);
  link.searchParams.set('model', model);
  return link.href;
}

/** The host of a model from elsewhere; undefined for one of the page's own host. */
export function foreignHost(model: string, page: string): string | undefined {
  if (!URL.canParse(model, page)) return undefined;
  const { host, origin } = new URL(model, page);
  return origin === new URL(page).origin ? undefined : host === '' ? model.slice(0, 40) : host;
}

/** The settings' names in an address. */
const NAMES = {
  prompt: 'prompt',
  negativePrompt: 'negative',
  seed: 'seed',
  steps: 'steps',
  guidance: 'guidance',
  compression: 'compression',
  solver: 'solver',
  size: 'size',
} as const;

/** The settings that an address gives. */
export function formOf(search: string): Partial<Form> {
  const query = new URLSearchParams(search);
  const text = (key: keyof typeof NAMES): string | undefined => query.get(NAMES[key]) ?? undefined;
  const number = (key: keyof typeof NAMES): number | undefined => {
    const value = text(key);
    return value === undefined || value.trim() === '' || !Number.isFinite(Number(value)) ? undefined : Number(value);
  };
  const given = {
    prompt: text('prompt'),
    negativePrompt: text('negativePrompt'),
    seed: number('seed'),
    steps: number('steps'),
    guidance: number('guidance'),
    compression: text('compression'),
    solver: SOLVERS.find((each) => each === text('solver')),
    size: sidesOf(text('size')) === undefined ? undefined : text('size'),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The settings that a picture was drawn with. */
export function formFrom({ prompt, negativePrompt, seed, steps, guidance, compression, solver, width, height }: RunParams): Form {
  return { prompt, negativePrompt, seed, steps, guidance, compression: String(compression), solver, size: sizeText({ width, height }) };
}

/** Whether an address with the settings `asked` asks for the picture that was drawn with `drawn`; the model's own size goes unsaid. */
export function asksFor(asked: Form, drawn: Form): boolean {
  const page = 'https://page.invalid/';
  const size = asked.size ?? drawn.size;
  return linkOf(page, { ...asked, size }) === linkOf(page, drawn);
}

/** The address `page` with those settings in it; what else it asks for stays. */
export function linkOf(page: string, form: Form): string {
  const link = new URL(page);
  for (const [key, name] of Object.entries(NAMES)) link.searchParams.set(name, String(form[key as keyof Form]));
  if (form.solver === undefined) link.searchParams.delete(NAMES.solver);
  if (form.size === undefined) link.searchParams.delete(NAMES.size);
  if (form.negativePrompt === '') link.searchParams.delete(NAMES.negativePrompt);
  return link.href;
}
