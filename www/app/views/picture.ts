/** The picture, the strip of its steps, and what is said about them. */

import type { Progress } from 'diffcr-web';
import { bytes, duration } from '../format.ts';
import { canShare } from '../share.ts';
import { hasPicture, type Run, type State } from '../state.ts';
import { find, say } from './dom.ts';
import { draw, paint } from './paint.ts';

export interface PictureEvents {
  readonly load: () => void;
  readonly cancel: () => void;
  readonly look: (step: number) => void;
  readonly download: () => void;
  readonly copy: () => void;
  readonly share: () => void;
  readonly link: () => void;
}

export interface Plate {
  /** `prompt`: what the picture that is shown was drawn from. */
  render(state: State, prompt: string): void;
  /** Clears the strip for a run. */
  begin(total: number): void;
  /** Shows a step's estimate; takes the bitmap over. */
  step(step: number, preview: ImageBitmap): void;
  finish(image: ImageData): void;
  /** The strip as it was before the last {@link begin}: the run ended without a picture. */
  restore(): void;
  /** The finished picture, or the reader's. */
  image(): ImageData | undefined;
}

/** Pixels along a side from which on a picture is shown smoothly, not pixel by pixel. */
const LARGE = 512;

const PHASES: Readonly<Record<Progress['phase'], string>> = {
  manifest: 'Starting up',
  download: 'Fetching the model',
  verify: 'Checking the model',
  upload: 'Moving the model to the device',
  compile: 'Putting the model together',
};

export function createPicture(events: PictureEvents): Plate {
  const picture = find('picture', HTMLCanvasElement);
  const sheet = find('sheet', HTMLElement);
  const strip = find('strip', HTMLElement);
  const frames = find('frames', HTMLElement);
  const scrub = find('scrub', HTMLInputElement);
  const download = find('download', HTMLButtonElement);
  const copy = find('copy', HTMLButtonElement);
  const pass = find('share', HTMLButtonElement);
  const link = find('link', HTMLButtonElement);
  const status = find('status', HTMLElement);
  const empty = find('empty', HTMLElement);
  const invitation = find('invitation', HTMLElement);
  const load = find('load', HTMLButtonElement);
  const renderLoading = createLoading();
  const news = find('news', HTMLElement);
  let canvases: HTMLCanvasElement[] = [];
  /** The steps of the picture that is shown again where a run is cut short. */
  let previous: HTMLCanvasElement[] = [];
  let final: ImageData | undefined;
  /** What the canvas shows: it is painted anew only where that changes. */
  let painted: ImageData | HTMLCanvasElement | undefined;

  load.addEventListener('click', events.load);
  find('cancel-load', HTMLButtonElement).addEventListener('click', events.cancel);
  download.addEventListener('click', events.download);
  copy.addEventListener('click', events.copy);
  pass.addEventListener('click', events.share);
  link.addEventListener('click', events.link);
  scrub.addEventListener('input', () => events.look(scrub.valueAsNumber));

  const show = (state: State): void => {
    const { run, looking } = state;
    const at = looking ?? (run.kind === 'running' ? run.step : run.kind === 'done' ? run.total : 0);
    for (const [i, canvas] of canvases.entries()) canvas.dataset['shown'] = String(i + 1 === at);
    if (!hasPicture(state) || final === undefined) return;
    const past = looking === undefined ? undefined : canvases[looking - 1];
    const wanted = past ?? final;
    if (painted !== wanted) {
      if (wanted instanceof HTMLCanvasElement) draw(picture, wanted, wanted.width, wanted.height);
      else paint(picture, wanted);
      picture.dataset['large'] = String(final.width > LARGE || final.height > LARGE);
      painted = wanted;
    }
    if (run.kind !== 'done') return;
    scrub.value = String(at);
    scrub.setAttribute('aria-valuetext', `step ${at} of ${run.total}`);
  };

  return {
    render(state, prompt) {
      const { model, run, looking } = state;
      renderLoading(model);
      const blank = canvases.length === 0;
      empty.hidden = !blank || hasPicture(state) || model.kind === 'loading' || run.kind === 'running';
      say(invitation, model.kind === 'idle' ? 'The model is not loaded' : 'The picture appears here');
      load.hidden = model.kind !== 'idle';
      sheet.dataset['over'] = String(model.kind === 'loading');
      strip.hidden = blank || run.kind === 'opened';
      scrub.disabled = run.kind !== 'done';
      const ours = run.kind === 'done' || (run.kind === 'opened' && run.ours);
      download.hidden = link.hidden = copy.hidden = !ours;
      pass.hidden = !ours || !canShare();
      say(status, statusOf(run, looking));
      say(news, newsOf(state));
      if (run.kind === 'opened') picture.setAttribute('aria-label', run.ours ? `Picture of ${JSON.stringify(prompt)}` : 'Your picture');
      if (run.kind === 'done') picture.setAttribute('aria-label', `Picture of ${JSON.stringify(prompt)}`);
      show(state);
    },
    begin(total) {
      previous = canvases;
      canvases = Array.from({ length: total }, () => document.createElement('canvas'));
      for (const canvas of canvases) canvas.width = canvas.height = 1;
      frames.replaceChildren(...canvases);
      scrub.max = scrub.value = String(total);
      picture.setAttribute('aria-label', 'Picture being drawn');
    },
    step(step, preview) {
      const frame = canvases[step - 1];
      if (frame !== undefined) draw(frame, preview, preview.width, preview.height);
      draw(picture, preview, preview.width, preview.height);
      painted = undefined;
      preview.close();
    },
    finish(image) {
      previous = canvases;
      final = image;
    },
    restore() {
      canvases = previous;
      frames.replaceChildren(...canvases);
      scrub.max = String(Math.max(canvases.length, 1));
    },
    image: () => final,
  };
}

/** The part of the sheet that covers it while the model comes in. */
function createLoading(): (model: State['model']) => void {
  const loading = find('loading', HTMLElement);
  const phase = find('phase', HTMLElement);
  const bar = find('progress', HTMLProgressElement);
  const amount = find('bytes', HTMLElement);
  return (model) => {
    loading.hidden = model.kind !== 'loading';
    if (model.kind !== 'loading') return;
    const { progress } = model;
    bar.value = progress?.overall ?? 0;
    say(phase, PHASES[progress?.phase ?? 'manifest']);
    const known = progress !== undefined && progress.totalBytes > 0;
    const stalled = progress?.stalled;
    if (stalled !== undefined) say(phase, `Nothing of ${stalled} came for ten seconds; after twenty it is asked for again`);
    say(amount, known ? `${bytes(progress.loadedBytes)} of ${bytes(progress.totalBytes)}` : 'engine and manifest');
  };
}

function statusOf(run: Run, looking: number | undefined): string {
  switch (run.kind) {
    case 'none':
      return '';
    case 'opened':
      return run.ours ? 'A picture drawn before' : 'A picture of yours';
    case 'waiting':
      return 'Waiting for the model';
    case 'running': {
      const left = run.etaMs === undefined ? '' : ` · ${duration(run.etaMs)} left`;
      if (run.fetching !== undefined) {
        const { loadedBytes, totalBytes } = run.fetching;
        return `Fetching what this picture needs: ${bytes(loadedBytes)} of ${bytes(totalBytes)}`;
      }
      return run.step === 0 ? 'Reading the prompt' : `Step ${run.step} of ${run.total}${left}`;
    }
    case 'done':
      if (looking !== undefined) return `Looking back at step ${looking} of ${run.total}`;
      return `${run.total} steps · ${duration(run.totalMs)} · ${duration(run.stepMs)} a step`;
  }
}

/** What a screen reader is told: beginnings and ends, not every step. */
function newsOf({ model, run }: State): string {
  if (model.kind === 'loading') return 'Loading the model';
  if (run.kind === 'running') return 'Drawing the picture';
  if (run.kind === 'done') return `The picture is done, after ${duration(run.totalMs)}`;
  return model.kind === 'ready' ? 'The model is ready' : '';
}
