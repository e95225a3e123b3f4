/** The worker's side: owns the wasm module and answers the page's messages, one after the other. */

import { softwareName, type AdapterInfo } from './adapter.ts';
import { abortError, DiffCRError, toWire } from './errors.ts';
import { keepKernels, recallKernels, type AdapterName, type Tuning } from './kernels.ts';
import { keepPrompt, recallPrompt } from './prompts.ts';
import type { Backend, FromWorker, PowerPreference, Reply, ReplyOf, RunPhase, Tensor, ToWorker } from './protocol.ts';
import type { OpenEngine, WasmEngine, WasmLoader, WasmModel, WasmEncoderLoader, WasmPicture, WasmRun, WasmTextStream } from './wasm.ts';

/** What the session needs of its surroundings; the tests bring their own. */
export interface Host {
  post(message: FromWorker, transfer: Transferable[]): void;
  openerFor(folder: string | undefined): OpenEngine;
  /** Rejects with `WEBGPU_UNAVAILABLE` or `NO_ADAPTER`. */
  requestAdapter(powerPreference?: PowerPreference): Promise<{ readonly info: AdapterInfo }>;
  /** Where kernels are remembered, if anywhere. */
  readonly caches: CacheStorage | undefined;
  /** Absent where there are no bitmaps, in Node. */
  readonly bitmap?: (picture: WasmPicture) => Promise<ImageBitmap>;
}

type Draw = Extract<ToWorker, { type: 'generate' }>;
type Prepare = Extract<ToWorker, { type: 'prepare' }>;
type Open = Extract<ToWorker, { type: 'open' }>;

/** What finding the fastest kernels may add to loading a model, and at most, unless told. */
const TUNING = 0.1;
const MAX_TUNING_MS = 3000;

export class Session {
  readonly #host: Host;
  readonly #aborted = new Set<number>();
  #engine: WasmEngine | undefined;
  /** None on the CPU. */
  #adapter: AdapterName | undefined;
  #loader: WasmLoader | undefined;
  /** When the manifest came. */
  #loading = 0;
  #model: WasmModel | undefined;
  /** The text encoder that reads the next run's prompts, and whether they are to be kept. */
  #text: { readonly stream: WasmTextStream; readonly remember: boolean } | undefined;
  /** What takes the half of the autoencoder in that reads the next run's image. */
  #encoder: WasmEncoderLoader | undefined;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Answers with exactly one `reply` or `failed`; `abort` has no answer of its own. */
  async handle(message: ToWorker): Promise<void> {
    const { id } = message;
    if (message.type === 'abort') {
      this.#aborted.add(id);
      return;
    }
    try {
      const reply = await this.#answer(message);
      this.#host.post({ id, type: 'reply', reply }, transferables(reply));
    } catch (error) {
      this.#host.post({ id, type: 'failed', error: toWire(explained(error)), dead: isFatal(error) }, []);
    } finally {
      this.#aborted.delete(id);
    }
  }

  async #answer(message: Exclude<ToWorker, { type: 'abort' }>): Promise<Reply> {
    switch (message.type) {
      case 'adapter': {
        // Where there is none, opening tells why.
        const software = await this.#host.requestAdapter(message.powerPreference).then(
          ({ info }) => softwareName(info),
          () => undefined,
        );
        return { type: 'adapter', ...(software === undefined ? {} : { software }) };
      }
      case 'open':
        return await this.#open(message, this.#host.openerFor(message.wasmUrl));
      case 'manifest': {
        const engine = present(this.#engine, 'no engine');
        const summary = engine.manifest(message.json);
        const loader = engine.loader(message.json, message.textEncoder);
        this.#loader = loader;
        this.#loading = performance.now();
        return { type: 'manifest', summary, files: loader.files() };
      }
      case 'file': {
        const { path, bytes, hashed } = message;
        await this.#sinkOf(path).addFile(path, bytes, hashed);
        release(bytes.buffer);
        return { type: 'added' };
      }
      case 'prepare':
        return await this.#prepare(message, present(this.#model, 'no model'));
      case 'finish': {
        const loader = present(this.#loader, 'no manifest');
        this.#loader = undefined; // `finish` consumes it
        const model = loader.finish();
        const kernels = await this.#tune(model, message.tuning);
        this.#model = model;
        const device = present(this.#engine, 'no engine').profile();
        return { type: 'ready', info: { ...model.info(), device, ...(kernels.length === 0 ? {} : { kernels }) } };
      }
      case 'generate':
        return await this.#draw(message, present(this.#model, 'no model'));
    }
  }

  /** Finds the model's fastest kernels, or remembers them. */
  async #tune(model: WasmModel, { precision, remember, budgetMs }: Tuning): Promise<readonly string[]> {
    const budget = budgetMs ?? Math.min(TUNING * (performance.now() - this.#loading), MAX_TUNING_MS);
    if (this.#adapter === undefined || !remember) return await model.tune(budget, precision);
    const { version } = present(this.#engine, 'no engine');
    const conditions = { version, adapter: this.#adapter, model: model.info().version, precision };
    const known = await recallKernels(this.#host.caches, conditions);
    const kernels = await model.tune(budget, precision, known);
    const timings = model.timings();
    if (kernels.length > 0 && timings !== known) await keepKernels(this.#host.caches, conditions, timings);
    return kernels;
  }

  async #open({ device, powerPreference }: Open, open: OpenEngine): Promise<ReplyOf<'opened'>> {
    const start = async (backend: Backend): Promise<ReplyOf<'opened'>> => {
      this.#adapter = backend === 'webgpu' ? (await this.#host.requestAdapter(powerPreference)).info : undefined;
      this.#engine = await open(backend, powerPreference);
      return { type: 'opened', backend };
    };
    if (device !== 'auto') return await start(device);
    try {
      return await start('webgpu');
    } catch (error) {
      const { message } = lacksWebGpu(error);
      return { ...(await start('cpu')), note: `${message}. The model runs on the CPU, which is slower.` };
    }
  }

  /** What a text encoder that is not loaded has to read for a run, of what is not remembered. */
  async #prepare({ request, edits, remember }: Prepare, model: WasmModel): Promise<ReplyOf<'prepared'>> {
    this.#text?.stream.free();
    this.#encoder?.free();
    this.#text = undefined;
    this.#encoder = model.encoderLoader(edits);
    const encoder = this.#encoder?.files() ?? [];
    const unknown: Uint32Array[] = [];
    for (const ids of model.unknownPrompts(request)) {
      const states = remember ? await recallPrompt(this.#host.caches, model.textEncoderVersion, ids) : undefined;
      if (states === undefined || !accepts(model, ids, states)) unknown.push(ids);
    }
    if (unknown.length === 0) return { type: 'prepared', files: encoder };
    const stream = model.textStream(unknown);
    this.#text = { stream, remember };
    return { type: 'prepared', files: [...stream.files(), ...encoder] };
  }

  /** Who waits for a file. */
  #sinkOf(
    path: string,
  ): Pick<WasmTextStream, 'files'> & { addFile(path: string, bytes: Uint8Array, hashed: boolean): void | Promise<void> } {
    if (this.#loader !== undefined) return this.#loader;
    const waits = (sink: Pick<WasmTextStream, 'files'> | undefined): boolean => sink?.files().some((file) => file.path === path) ?? false;
    return present(waits(this.#encoder) ? this.#encoder : this.#text?.stream, 'no manifest');
  }

  /** Has what the text encoder read known. */
  async #learn(model: WasmModel): Promise<void> {
    if (this.#text === undefined) return;
    const { stream, remember } = this.#text;
    this.#text = undefined; // `finish` consumes it
    for (const { ids, states } of await stream.finish()) {
      model.rememberPrompt(ids, states);
      if (remember) await keepPrompt(this.#host.caches, model.textEncoderVersion, { ids, states });
    }
  }

  async #draw(message: Draw, model: WasmModel): Promise<Reply> {
    const { id, previewEvery, returnLatents } = message;
    const started = performance.now();
    const phase = (phase: RunPhase): void => this.#host.post({ id, type: 'phase', phase }, []);
    phase('encode');
    const run = await this.#start(message, model);
    try {
      const encodeMs = performance.now() - started;
      phase('denoise');
      const stepMs = await this.#denoise(id, run, previewEvery, started);
      phase('decode');
      const decoding = performance.now();
      const { image, latents, routing } = await run.finish();
      const ended = performance.now();
      return {
        type: 'done',
        pixels: new Uint8ClampedArray(image.data),
        width: image.width,
        height: image.height,
        settings: run.settings,
        flops: run.flops,
        warnings: run.warnings,
        timings: { encodeMs, stepMs, decodeMs: ended - decoding, totalMs: ended - started },
        ...(returnLatents ? { latents: copied(latents) } : {}),
        ...(routing === undefined ? {} : { routing }),
      };
    } finally {
      run.free();
    }
  }

  /** The run, with all that it needs beside the model for as long as it needs it. */
  async #start({ request, edit }: Draw, model: WasmModel): Promise<WasmRun> {
    await this.#learn(model);
    const encoder = this.#encoder;
    this.#encoder = undefined;
    if (encoder === undefined) return await model.generate(request, edit);
    try {
      model.takeEncoder(encoder);
      return await model.generate(request, edit);
    } finally {
      model.dropEncoder();
    }
  }

  /** Every step of the run, reported as it ends; the milliseconds of each. */
  async #denoise(id: number, run: WasmRun, previewEvery: number, started: number): Promise<number[]> {
    const stepMs: number[] = [];
    for (;;) {
      await macrotask();
      if (this.#aborted.has(id)) throw abortError();
      const before = performance.now();
      const done = await run.step();
      if (done === undefined) return stepMs;
      const now = performance.now();
      stepMs.push(now - before);
      const { length } = stepMs;
      const due = previewEvery > 0 && length % previewEvery === 0;
      const preview = due ? await this.#host.bitmap?.(await run.preview()) : undefined;
      const step = {
        step: length,
        total: done.total,
        timestep: done.timestep,
        elapsedMs: now - started,
        etaMs: mean(stepMs) * (done.total - length),
        ...(done.keep === undefined ? {} : { routing: { keep: done.keep } }),
      };
      this.#host.post({ id, type: 'step', step: preview ? { ...step, preview } : step }, preview ? [preview] : []);
    }
  }
}

/** Whether states that were kept are still states of this model. */
function accepts(model: WasmModel, ids: Uint32Array, states: Uint16Array): boolean {
  try {
    model.rememberPrompt(ids, states);
    return true;
  } catch {
    return false;
  }
}

/** The first step compiles shaders: it says little about the others. */
function mean(stepMs: readonly number[]): number {
  const typical = stepMs.length > 1 ? stepMs.slice(1) : stepMs;
  return typical.reduce((sum, ms) => sum + ms, 0) / Math.max(typical.length, 1);
}

/** Lets the worker's event loop run, so that a message that came in meanwhile is seen. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Gives a buffer's memory back at once: the collector takes its time, and chunks are large. */
function release(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer?.(0);
}

function present<T>(value: T | undefined, fault: string): T {
  if (value === undefined) throw new DiffCRError('INTERNAL', `the worker has ${fault} yet`);
  return value;
}

/** The error when it is one that the CPU does not have; otherwise it goes on its way. */
function lacksWebGpu(error: unknown): Error {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  if (error instanceof Error && (code === 'WEBGPU_UNAVAILABLE' || code === 'NO_ADAPTER')) return error;
  throw error;
}

/** After a trap or the loss of its device the module cannot be used again. */
function isFatal(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || (error instanceof Error && Reflect.get(error, 'code') === 'DEVICE_LOST');
}

/** A trap says no more than "unreachable": the module has written its reason to the console. */
export function explained(error: unknown): unknown {
  if (!(error instanceof WebAssembly.RuntimeError)) return error;
  return new DiffCRError('INTERNAL', `the wasm module stopped (${error.message}); the console has its reason`, {}, error);
}

function copied({ shape, data }: Tensor): Tensor {
  return { shape: [...shape], data: new Float32Array(data) };
}

function transferables(reply: Reply): Transferable[] {
  if (reply.type !== 'done') return [];
  const { pixels, latents } = reply;
  return latents?.data.buffer instanceof ArrayBuffer ? [pixels.buffer, latents.data.buffer] : [pixels.buffer];
}
