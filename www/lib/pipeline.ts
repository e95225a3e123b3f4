/** A loaded model: draws pictures from prompts, one at a time, until it is disposed of. */

import { abortable, linked, throwIfAborted } from './abort.ts';
import { asError, DiffCRError } from './errors.ts';
import { guarded } from './guard.ts';
import { checkSignal, readRunOptions, type Busy, type RunOptions } from './options.ts';
import { Output } from './output.ts';
import { toPixels, whiteMask, type Picture } from './picture.ts';
import { INPAINT_KEYS } from './contract.ts';
import type { Progress } from './progress.ts';
import type { Backend, InpaintSettings, ModelInfo, Pixels, ReplyOf, RunPhase, RunRequest, Step, Tensor } from './protocol.ts';
import type { CallOptions, Remote } from './remote.ts';

export interface GenerateOptions extends RunRequest {
  /** Steps between two previews, 0 for none. @default 0 */
  readonly previewEvery?: number;
  /** Hands out the final latents too. @default false */
  readonly returnLatents?: boolean;
  /** What to do while another run is under way: wait, take its place (it rejects with `BUSY`), or reject. @default 'queue' */
  readonly busy?: Busy;
  /** Stops the run; the pipeline stays usable. */
  readonly signal?: AbortSignal;
  readonly onStep?: (step: Step) => void;
  /** Hears what the run is doing. */
  readonly onPhase?: (phase: RunPhase) => void;
  /** Hears of the files that the run fetches beside the model: what is too large to stay loaded with it. */
  readonly onLoad?: (progress: Progress) => void;
}

export interface BatchOptions extends GenerateOptions {
  /** Pictures to draw, one after the other, in one turn of the queue: with `seed`, `seed + 1` … */
  readonly count: number;
}

/** {@link Pipeline.edit}: the whole image is drawn over. */
export interface EditOptions extends GenerateOptions {
  readonly image: Picture;
  /** Share of the steps that are run: 1 draws from noise alone, 0 changes nothing. @default 0.6 */
  readonly strength?: number;
}

export interface InpaintOptions extends GenerateOptions, InpaintSettings {
  /** What to change; pixels outside the mask come back as they are, to the bit. */
  readonly image: Picture;
  /** What to redraw: white on black, or painted on a transparent canvas. */
  readonly mask: Picture;
}

/** What {@link Pipeline.stream} yields: every step, then the result. */
export type RunEvent = ({ readonly type: 'step' } & Step) | { readonly type: 'done'; readonly output: Output };

/** What of a run says what it needs beside the model. */
export interface Needing {
  readonly request: RunRequest;
  /** Whether it changes an image. */
  readonly edits: boolean;
}

/** A model that was just loaded. */
export interface Opened {
  readonly remote: Remote;
  readonly backend: Backend;
  readonly note?: string;
  readonly info: ModelInfo;
  readonly persisted?: boolean;
  /** Brings what a run needs beside the model. */
  readonly prepare: (run: Needing, signal: AbortSignal, onLoad: (progress: Progress) => void) => Promise<void>;
}

/** The images of an edit. */
type Images = Promise<readonly [Pixels | Tensor, Pixels | Tensor]>;

const EDIT_STRENGTH = 0.6;
/** Names that only an image's runs take. */
const IMAGE_KEYS = ['image', 'mask', ...INPAINT_KEYS];

export class Pipeline {
  /** Where the model runs. */
  readonly backend: Backend;
  /** Why it runs on the CPU, when WebGPU was tried first. */
  readonly note?: string;
  readonly info: ModelInfo;
  /** Whether the browser promised to keep a large model's files; absent where it was not asked. */
  readonly persisted?: boolean;
  /** Resolves when the model's worker or its device is gone, with why; the next call loads the model again, but after {@link dispose}. */
  readonly lost: Promise<DiffCRError>;
  #remote: Remote | undefined;
  #prepare: Opened['prepare'];
  readonly #revive: (() => Promise<Opened>) | undefined;
  /** The load under way that takes the place of a worker that is gone. */
  #reviving: Promise<Remote> | undefined;
  #disposed: DiffCRError | undefined;
  #tellLost: (error: DiffCRError) => void = () => {};
  /** Settles when the last run that was asked for is over. */
  #last: Promise<unknown> = Promise.resolve();
  /** Stops each run that is under way or waits. */
  readonly #calls = new Set<AbortController>();

  /** @internal */
  constructor({ remote, backend, note, info, persisted, prepare }: Opened, revive?: () => Promise<Opened>) {
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
    this.#revive = revive;
    this.#remote = this.#watched(remote);
    this.#prepare = prepare;
    this.backend = backend;
    if (note !== undefined) this.note = note;
    this.info = info;
    if (persisted !== undefined) this.persisted = persisted;
  }

  /** Draws a picture; with a `count` so many of them, one after the other. A call while another runs waits for its turn. */
  generate(options: BatchOptions): Promise<Output[]>;
  generate(options?: GenerateOptions): Promise<Output>;
  generate(options?: GenerateOptions | BatchOptions): Promise<Output | Output[]> {
    const many = (options as Partial<BatchOptions> | undefined)?.count !== undefined;
    return this.#run(
      () => readRunOptions(options, ['count']),
      async (run, call) => {
        const outputs: Output[] = [];
        for (let i = 0; i < run.count; i += 1) {
          throwIfAborted(call.signal);
          const request = { ...run.request, seed: (run.request.seed ?? 0) + i };
          outputs.push(await this.#draw({ ...run, request }, call));
        }
        const [first] = outputs;
        return many || first === undefined ? outputs : first;
      },
    );
  }

  /** Draws the masked part of an image anew. Waits its turn as {@link generate} does. */
  inpaint(options: InpaintOptions): Promise<Output> {
    return this.#withImages(options, (image) => Promise.all([image, toPixels('mask', options.mask)]));
  }

  /** Draws an image over, from its own latents with noise. Waits its turn as {@link generate} does. */
  edit(options: EditOptions): Promise<Output> {
    return this.#withImages(options, async (image) => [await image, whiteMask(await image)], { strength: EDIT_STRENGTH, maskAware: false });
  }

  /** The run of {@link generate}, or with an image that of {@link edit}, with a mask too that of {@link inpaint}, as an async iterator; leaving the loop stops it. */
  async *stream(options: GenerateOptions | InpaintOptions | EditOptions = {}): AsyncGenerator<RunEvent, void, undefined> {
    const { controller: left, unlink } = linked(checkSignal(options.signal));
    const { signal } = left;
    const steps: Step[] = [];
    let wake = (): void => {};
    const onStep = (step: Step): void => {
      options.onStep?.(step);
      steps.push(step);
      wake();
    };
    let over = false;
    const run = this.#any({ ...options, signal, onStep }).finally(() => {
      over = true;
      wake();
    });
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
      unlink();
      for (const step of steps) step.preview?.close();
    }
  }

  #any(options: GenerateOptions | InpaintOptions | EditOptions): Promise<Output> {
    if ('mask' in options) return this.inpaint(options);
    return 'image' in options ? this.edit(options) : this.generate(options);
  }

  /** Gives back GPU and wasm memory; whatever is under way rejects with `DISPOSED`. */
  async dispose(): Promise<void> {
    this.#disposed ??= new DiffCRError('DISPOSED', 'the pipeline was disposed of');
    this.#remote?.close(this.#disposed);
    this.#tellLost(this.#disposed);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #withImages(options: InpaintOptions | EditOptions, images: (image: Promise<Pixels | Tensor>) => Images, usual: InpaintSettings = {}) {
    let pictures: Images | undefined;
    const read = (): RunOptions => {
      const run = readRunOptions(options, IMAGE_KEYS);
      // Read at once: the caller may paint on while the call waits.
      pictures = images(toPixels('image', options.image));
      pictures.catch(() => {}); // awaited in its turn
      return { ...run, edit: { ...usual, ...run.edit } };
    };
    return this.#run(read, async (run, call) => await this.#draw(run, call, await pictures));
  }

  async #draw(run: RunOptions, call: CallOptions, pictures?: Awaited<Images>): Promise<Output> {
    throwIfAborted(call.signal);
    const { request, previewEvery, returnLatents, edit: settings } = run;
    const { prompt = '', negativePrompt = '' } = request;
    const remote = await this.#running();
    let loading = false;
    await this.#prepare({ request, edits: pictures !== undefined }, call.signal ?? new AbortController().signal, (progress) => {
      if (!loading) call.onPhase?.('load');
      loading = true;
      run.onLoad?.(progress);
    });
    if (pictures === undefined) {
      const done = await remote.call('done', (id) => ({ id, type: 'generate', request, previewEvery, returnLatents }), call);
      return this.#output(done, { prompt, negativePrompt });
    }
    const [image, mask] = pictures;
    const edit = { ...settings, image, mask };
    const transfer = pictures.flatMap(({ data }) => (data.buffer instanceof ArrayBuffer ? [data.buffer] : []));
    const done = await remote.call('done', (id) => ({ id, type: 'generate', request, edit, previewEvery, returnLatents }), {
      ...call,
      transfer,
    });
    return this.#output(done, { prompt, negativePrompt, inpaint: settings });
  }

  #output(done: ReplyOf<'done'>, given: { prompt: string; negativePrompt: string; inpaint?: InpaintSettings }): Output {
    return new Output(done, { ...given, ...done.settings }, this.info.version);
  }

  /** Reads the options at once, and runs `draw` after what was asked for before. */
  #run<T>(read: () => RunOptions, draw: (run: RunOptions, call: CallOptions) => Promise<T>): Promise<T> {
    let signal: AbortSignal | undefined;
    return guarded(
      () => {
        const run = read();
        signal = run.signal;
        this.#makeRoom(run.busy);
        const { controller, unlink } = linked(signal);
        this.#calls.add(controller);
        const call = quietAfter(controller.signal, run);
        const turn = this.#last.then(() => {
          throwIfAborted(controller.signal);
          if (this.#disposed !== undefined) throw this.#disposed;
          return draw(run, call);
        });
        this.#last = turn.catch(() => {});
        return abortable(turn, controller.signal).finally(() => {
          unlink();
          this.#calls.delete(controller);
        });
      },
      () => signal,
    );
  }

  /** What a call does to those before it. */
  #makeRoom(busy: Busy): void {
    if (busy === 'queue' || this.#calls.size === 0) return;
    if (busy === 'reject') throw new DiffCRError('BUSY', 'another run is under way', { busy });
    const replaced = new DiffCRError('BUSY', 'a later run took the place of this one', { busy });
    for (const call of this.#calls) call.abort(replaced);
  }

  /** The worker, or its successor where it is gone. */
  async #running(): Promise<Remote> {
    if (this.#disposed !== undefined) throw this.#disposed;
    if (this.#remote?.over === false) return this.#remote;
    if (this.#revive === undefined) throw new DiffCRError('DISPOSED', 'the pipeline has ended');
    this.#reviving ??= this.#revive()
      .then(({ remote, prepare }) => {
        this.#prepare = prepare;
        if (this.#disposed !== undefined) remote.close(this.#disposed);
        return (this.#remote = this.#watched(remote));
      })
      .finally(() => {
        this.#reviving = undefined;
      });
    return await this.#reviving;
  }

  #watched(remote: Remote): Remote {
    remote.ended.catch((reason: unknown) => {
      if (this.#remote === remote) this.#remote = undefined;
      const error = asError(reason);
      if (error instanceof DiffCRError) this.#tellLost(error);
    });
    return remote;
  }
}

/** A caller that has stopped a run hears no more of it. */
function quietAfter(signal: AbortSignal, { onStep, onPhase }: RunOptions): CallOptions {
  return {
    signal,
    onStep: (step) => {
      if (onStep !== undefined && !signal.aborted) onStep(step);
      else step.preview?.close();
    },
    onPhase: (phase) => {
      if (!signal.aborted) onPhase?.(phase);
    },
  };
}
