/** A loaded model: draws pictures from prompts, one at a time, until it is disposed of. */

import { abortable, throwIfAborted } from './abort.ts';
import { DiffCRError } from './errors.ts';
import { Output } from './output.ts';
import { toPixels, type Picture } from './picture.ts';
import type { Backend, InpaintSettings, ModelInfo, ReplyOf, RunRequest, Step } from './protocol.ts';
import type { CallOptions, Remote } from './remote.ts';

export interface GenerateOptions extends RunRequest {
  /** Steps between two previews, 0 for none. @default 0 */
  readonly previewEvery?: number;
  /** Hands out the final latents too. @default false */
  readonly returnLatents?: boolean;
  /** Stops the run; the pipeline stays usable. */
  readonly signal?: AbortSignal;
  readonly onStep?: (step: Step) => void;
}

export interface InpaintOptions extends GenerateOptions, InpaintSettings {
  /** What to change; pixels outside the mask come back as they are, to the bit. */
  readonly image: Picture;
  /** What to redraw: white on black, or painted on a transparent canvas. */
  readonly mask: Picture;
}

/** What {@link Pipeline.stream} yields: every step, then the result. */
export type RunEvent = ({ readonly type: 'step' } & Step) | { readonly type: 'done'; readonly output: Output };

const REQUEST = [
  'prompt',
  'negativePrompt',
  'seed',
  'steps',
  'guidance',
  'width',
  'height',
  'solver',
  'compression',
  'latents',
  'promptEmbeds',
  'negativePromptEmbeds',
  'returnRouting',
] as const satisfies readonly (keyof RunRequest)[];

const INPAINT = ['strength', 'maskAware', 'cropToMask', 'feather'] as const satisfies readonly (keyof InpaintSettings)[];

export class Pipeline {
  /** Where the model runs. */
  readonly backend: Backend;
  /** Why it runs on the CPU, when WebGPU was tried first. */
  readonly note?: string;
  readonly info: ModelInfo;
  readonly #remote: Remote;
  /** Settles when the last run that was asked for is over. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(remote: Remote, { backend, note }: ReplyOf<'opened'>, info: ModelInfo) {
    this.#remote = remote;
    this.backend = backend;
    if (note !== undefined) this.note = note;
    this.info = info;
  }

  /** Draws a picture. A call while another runs waits for its turn. */
  generate(options: GenerateOptions = {}): Promise<Output> {
    return this.#queue(options, async (previewEvery, returnLatents, call) => {
      const done = await this.#remote.call(
        'done',
        (id) => ({ id, type: 'generate', request: toRequest(options), previewEvery, returnLatents }),
        call,
      );
      return this.#output(done, options);
    });
  }

  /** Draws the masked part of an image anew. Waits its turn as {@link generate} does. */
  inpaint(options: InpaintOptions): Promise<Output> {
    // Read at once: the caller may paint on while the call waits.
    const pictures = Promise.all([toPixels('image', options.image), toPixels('mask', options.mask)]);
    pictures.catch(() => {}); // awaited in its turn
    return this.#queue(options, async (previewEvery, returnLatents, call) => {
      const [image, mask] = await pictures;
      throwIfAborted(options.signal);
      const inpaint = pickDefined(options, INPAINT);
      const [request, edit] = [toRequest(options), { ...inpaint, image, mask }];
      const transfer = [image, mask].flatMap(({ data }) => (data.buffer instanceof ArrayBuffer ? [data.buffer] : []));
      const done = await this.#remote.call('done', (id) => ({ id, type: 'generate', request, edit, previewEvery, returnLatents }), {
        ...call,
        transfer,
      });
      return this.#output(done, options, inpaint);
    });
  }

  /** The run of {@link generate}, or with an image that of {@link inpaint}, as an async iterator; leaving the loop stops it. */
  async *stream(options: GenerateOptions | InpaintOptions = {}): AsyncGenerator<RunEvent, void, undefined> {
    const left = new AbortController();
    const signal = options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal]);
    const steps: Step[] = [];
    let wake = (): void => {};
    const onStep = (step: Step): void => {
      options.onStep?.(step);
      steps.push(step);
      wake();
    };
    let over = false;
    const run = ('image' in options ? this.inpaint({ ...options, signal, onStep }) : this.generate({ ...options, signal, onStep })).finally(
      () => {
        over = true;
        wake();
      },
    );
    run.catch(() => {}); // awaited below, but only after the steps
    try {
      while (!over || steps.length > 0) {
        const step = steps.shift();
        if (step !== undefined) yield { type: 'step', ...step };
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
      yield { type: 'done', output: await run };
    } finally {
      left.abort();
      for (const step of steps) step.preview?.close();
    }
  }

  /** Gives back GPU and wasm memory; whatever is under way rejects with `DISPOSED`. */
  async dispose(): Promise<void> {
    this.#remote.close(new DiffCRError('DISPOSED', 'the pipeline was disposed of'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Runs `draw` after what was asked for before. */
  #queue(
    options: GenerateOptions,
    draw: (previewEvery: number, returnLatents: boolean, call: CallOptions) => Promise<Output>,
  ): Promise<Output> {
    const { previewEvery = 0, returnLatents = false, signal, onStep } = options;
    const turn = this.#last.then(() => {
      throwIfAborted(signal);
      if (!Number.isInteger(previewEvery) || previewEvery < 0) {
        throw new DiffCRError('INVALID_INPUT', `previewEvery: ${previewEvery} is not a whole number from 0`, { field: 'previewEvery' });
      }
      return draw(previewEvery, returnLatents, { signal, onStep: signal === undefined ? onStep : quietAfter(signal, onStep) });
    });
    this.#last = turn.catch(() => {});
    return abortable(turn, signal);
  }

  #output(done: ReplyOf<'done'>, { prompt = '', negativePrompt = '' }: GenerateOptions, inpaint?: InpaintSettings): Output {
    const params = { prompt, negativePrompt, ...done.settings, ...(inpaint === undefined ? {} : { inpaint }) };
    return new Output(done, params, this.info.version);
  }
}

/** The run's own options, without those that are undefined; a seed of chance where none is given. */
function toRequest(options: GenerateOptions): RunRequest {
  return { seed: Math.floor(Math.random() * 2 ** 32), ...pickDefined(options, REQUEST) };
}

/** Those of `keys` that are not undefined. */
function pickDefined<T extends object, K extends keyof T>(options: T, keys: readonly K[]): Partial<Pick<T, K>> {
  const entries = keys.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]);
  return Object.fromEntries(entries) as Partial<Pick<T, K>>;
}

/** A caller that has stopped a run hears no more of its steps. */
function quietAfter(signal: AbortSignal, onStep: ((step: Step) => void) | undefined): (step: Step) => void {
  return (step) => {
    if (onStep !== undefined && !signal.aborted) onStep(step);
    else step.preview?.close();
  };
}
