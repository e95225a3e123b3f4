/** A loaded model: draws pictures from prompts, one at a time, until it is disposed of. */

import { abortable, throwIfAborted } from './abort.ts';
import { DiffCRError } from './errors.ts';
import { Output } from './output.ts';
import type { Backend, ModelInfo, ReplyOf, RunRequest, Step } from './protocol.ts';
import type { Remote } from './remote.ts';

export interface GenerateOptions extends RunRequest {
  /** Steps between two previews, 0 for none. @default 0 */
  readonly previewEvery?: number;
  /** Hands out the final latents too. @default false */
  readonly returnLatents?: boolean;
  /** Stops the run; the pipeline stays usable. */
  readonly signal?: AbortSignal;
  readonly onStep?: (step: Step) => void;
}

/** What {@link Pipeline.stream} yields: every step, then the result. */
export type RunEvent = ({ readonly type: 'step' } & Step) | { readonly type: 'done'; readonly output: Output };

const ASKED = [
  'prompt', 'negativePrompt', 'seed', 'steps', 'guidance', 'width', 'height', 'solver', 'compression', 'latents', 'promptEmbeds',
  'negativePromptEmbeds',
] as const satisfies readonly (keyof RunRequest)[];

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
    const turn = this.#last.then(() => this.#run(options));
    this.#last = turn.catch(() => {});
    return abortable(turn, options.signal);
  }

  /** The same run as an async iterator; leaving the loop stops it. */
  async *stream(options: GenerateOptions = {}): AsyncGenerator<RunEvent, void, undefined> {
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
    const run = this.generate({ ...options, signal, onStep }).finally(() => {
      over = true;
      wake();
    });
    run.catch(() => {}); // awaited below, but only after the steps
    try {
      while (!over || steps.length > 0) {
        const step = steps.shift();
        if (step !== undefined) yield { type: 'step', ...step };
        else await new Promise<void>((resolve) => { wake = resolve; });
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

  async #run(options: GenerateOptions): Promise<Output> {
    const { previewEvery = 0, returnLatents = false, signal, onStep } = options;
    throwIfAborted(signal);
    if (!Number.isInteger(previewEvery) || previewEvery < 0) {
      throw new DiffCRError('INVALID_INPUT', `previewEvery: ${previewEvery} is not a whole number from 0`, { field: 'previewEvery' });
    }
    const request = asked(options);
    const done = await this.#remote.call(
      'done',
      (id) => ({ id, type: 'generate', request, previewEvery, returnLatents }),
      { signal, onStep: signal === undefined ? onStep : quietAfter(signal, onStep) },
    );
    const { prompt = '', negativePrompt = '' } = options;
    return new Output(done, { prompt, negativePrompt, ...done.settings }, this.info.version);
  }
}

/** The run's own options, without those that are undefined; a seed of chance where none is given. */
function asked(options: GenerateOptions): RunRequest {
  const given = Object.fromEntries(ASKED.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]));
  return { seed: Math.floor(Math.random() * 2 ** 32), ...given };
}

/** A caller that has stopped a run hears no more of its steps. */
function quietAfter(signal: AbortSignal, onStep: ((step: Step) => void) | undefined): (step: Step) => void {
  return (step) => {
    if (onStep !== undefined && !signal.aborted) onStep(step);
    else step.preview?.close();
  };
}
