/** For unit tests only: a stand-in for the wasm module, a bundle on a pretended server, and a worker on this very thread. */

import type { DiffCRError } from '../errors.ts';
import type { ModelInfo as EngineModelInfo, RunWarning } from '../contract.ts';
import type { Backend, DeviceProfile, EditRequest, FileEntry, FromWorker, ModelInfo, RunRequest, ToWorker } from '../protocol.ts';
import type { Connect } from '../remote.ts';
import { Session, type Host } from '../session.ts';
import type { Fetch } from '../weights/fetch.ts';
import type { WasmEngine, WasmRun, WasmTextStream } from '../wasm.ts';

export interface FakeWasm {
  readonly host: Host;
  /** What happened, in order. */
  readonly log: string[];
  /** Sizes of the files that were added. */
  readonly added: Map<string, number>;
}

export interface FakeOptions {
  readonly adapter?: Host['requestAdapter'];
  readonly caches?: CacheStorage;
  readonly open?: (backend: Backend, powerPreference?: string) => Promise<void>;
  readonly step?: (step: number) => Promise<void>;
  readonly generate?: (request: RunRequest) => void;
  readonly finish?: () => void;
  readonly warnings?: readonly RunWarning[];
  readonly kernels?: readonly string[];
  readonly addFile?: (path: string) => void;
}

export const PROFILE: DeviceProfile = {
  backend: 'webgpu',
  adapter: 'acme one',
  kind: 'gpu',
  shaderF16: true,
  subgroups: false,
  timestampQuery: true,
  packedDot: true,
  limits: {
    maxBufferSize: 2 ** 28,
    maxStorageBufferBindingSize: 2 ** 27,
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 16_384,
    maxComputeInvocationsPerWorkgroup: 256,
  },
};

/** What the engine says of the model. */
export const ENGINE_INFO: EngineModelInfo = {
  name: 'fake',
  version: 'v1',
  width: 2,
  height: 2,
  sideMultiple: 1,
  pixelScale: 1,
  latentChannels: 3,
  defaultSolver: 'dpm++',
  defaultSteps: 20,
  defaultGuidance: 4.5,
  defaults: { negativePrompt: '', steps: 20, guidance: 4.5, width: 2, height: 2, solver: 'dpm++', compression: 'learned' },
  needs: { peakHeapBytes: 100, peakGpuBytes: 200, maxBindingBytes: 50 },
  layers: 1,
  tokens: 4,
  parts: {
    transformer: {
      layers: 1,
      heads: 1,
      headDim: 4,
      inChannels: 3,
      outChannels: 3,
      patchSize: 1,
      captionChannels: 4,
      sampleSize: 2,
      interpolationScale: 1,
      sizeConditions: false,
    },
    scheduler: { trainTimesteps: 1000, betaStart: 1e-4, betaEnd: 0.02, betaSchedule: 'linear', prediction: 'epsilon', solver: 'dpm++' },
  },
};

/** What the pipeline says of it. */
export const INFO: ModelInfo = { ...ENGINE_INFO, device: PROFILE };

/** An engine that draws 2×2 pictures whose red is the seed, and throws as the module does. */
export function fakeWasm(options: FakeOptions = {}): FakeWasm {
  const log: string[] = [];
  const added = new Map<string, number>();
  const draw = async (request: RunRequest): Promise<WasmRun> => {
    options.generate?.(request);
    const { seed = 1, steps = 3, prompt = '' } = request;
    log.push(`generate ${prompt}`);
    let at = 0;
    const image = { width: 2, height: 2, data: new Uint8ClampedArray(16).fill(seed) };
    return {
      total: steps,
      flops: { total: 10 * steps, dense: 20 * steps },
      warnings: options.warnings ?? [],
      settings: { seed, steps, guidance: request.guidance ?? 4.5, solver: 'dpm++' as const, compression: 'learned', width: 2, height: 2 },
      step: async () => {
        if (at === steps) return undefined;
        at += 1;
        await options.step?.(at);
        log.push(`step ${at}`);
        return { step: at, total: steps, timestep: 1000 - at, keep: [1, 0.5] };
      },
      preview: async () => image,
      finish: async () => {
        options.finish?.();
        const routing = { grid: [2, 2] as const, steps: [{ timestep: 999, layers: [[0, 3], null] }] };
        const latents = { shape: [1, 3, 2, 2], data: new Float32Array(12).fill(seed) };
        return { image, latents, ...(request.returnRouting ? { routing } : {}) };
      },
      free: () => void log.push('free run'),
    };
  };
  /** Of an edit it gives back the image with its first byte set to the seed. */
  const generate = async (request: RunRequest, edit?: EditRequest): Promise<WasmRun> => {
    if (edit === undefined) return await draw(request);
    log.push(`edit ${Object.keys(edit).sort().join(' ')}`);
    const run = await draw(request);
    if (!('width' in edit.image)) return run;
    const { width, height } = edit.image;
    const image = { width, height, data: new Uint8ClampedArray(edit.image.data) };
    image.data[0] = request.seed ?? 1;
    return { ...run, finish: async () => ({ ...(await run.finish()), image }) };
  };
  const tune = async (_budget: number, precision: string, known?: string): Promise<readonly string[]> => {
    const kernels = options.kernels ?? [];
    if (kernels.length > 0 && known !== JSON.stringify(kernels)) log.push(`time ${precision}`);
    return kernels;
  };
  const engine = (backend: Backend): WasmEngine => ({
    backend,
    version: '1.2.3',
    profile: () => PROFILE,
    manifest: (json) => {
      const { formatVersion, name, version, files } = JSON.parse(json);
      if (formatVersion !== 1) throw wasmError('MANIFEST_VERSION', 'manifest: formatVersion', { found: formatVersion, supported: 1 });
      const totalBytes = files.reduce((sum: number, file: FileEntry) => sum + file.bytes, 0);
      return { name, version, totalBytes, files };
    },
    loader: (json, textEncoder) => {
      const { files } = JSON.parse(json) as { files: FileEntry[] };
      const text = textEncoder === 'streamed' ? files.filter(({ part }) => part === 'textEncoder') : [];
      return {
        files: () => files.filter((file) => !text.includes(file)),
        addFile: (path, bytes) => {
          options.addFile?.(path);
          added.set(path, bytes.byteLength);
        },
        finish: () => ({
          info: () => ENGINE_INFO,
          tune,
          timings: () => JSON.stringify(options.kernels ?? []),
          ...fakeText(text, log),
          generate,
          free: () => void log.push('free model'),
        }),
        free: () => void log.push('free loader'),
      };
    },
    free: () => void log.push('free engine'),
  });
  const host: Host = {
    post: () => {},
    openerFor: (folder) => async (backend, powerPreference) => {
      await options.open?.(backend, powerPreference);
      log.push(`open ${backend}${folder === undefined ? '' : ` ${folder}`}`);
      return engine(backend);
    },
    requestAdapter: options.adapter ?? (async () => ({ info: { vendor: 'acme', architecture: 'one', device: '', description: '' } })),
    caches: options.caches,
    bitmap: async ({ width, height }) => fakeBitmap(width, height),
  };
  return { host, log, added };
}

/** A text encoder of `files` that passes by: a prompt's tokens are its letters, and its states their number. */
function fakeText(files: readonly FileEntry[], log: string[]) {
  const known = new Set<string>();
  const knows = (ids: Uint32Array): void => void known.add(ids.join());
  return {
    encoderLoader: () => undefined,
    takeEncoder: () => {},
    dropEncoder: () => {},
    textEncoderVersion: files.length > 0 ? 't5' : undefined,
    unknownPrompts: ({ prompt = '' }: RunRequest) => {
      const ids = Uint32Array.from(prompt, (letter) => letter.charCodeAt(0));
      return files.length === 0 || known.has(ids.join()) ? [] : [ids];
    },
    rememberPrompt: (ids: Uint32Array, states: Uint16Array) => {
      if (states.length !== ids.length) throw wasmError('INVALID_INPUT', 'prompt: states');
      knows(ids);
    },
    textStream: (prompts: readonly Uint32Array[]): WasmTextStream => ({
      files: () => files,
      addFile: async (path, _, hashed) => void log.push(`text ${path}${hashed ? '' : ' not hashed'}`),
      finish: async () => prompts.map((ids) => ({ ids, states: new Uint16Array(ids.length) })),
      free: () => void log.push('free text'),
    }),
  };
}

/** A {@link CacheStorage} in memory, with empty caches of some names; `names` are those there are. */
export function fakeCaches(...there: string[]): { caches: CacheStorage; names: () => string[] } {
  const stores = new Map<string, Map<string, Response>>(there.map((name) => [name, new Map()]));
  const open = async (name: string) => {
    const store = stores.get(name) ?? new Map<string, Response>();
    stores.set(name, store);
    return {
      put: async (address: string, response: Response) => void store.set(address, response),
      keys: async () => [...store.keys()],
      delete: async (address: string) => store.delete(address),
    };
  };
  const caches = {
    open,
    match: async (address: string, { cacheName }: { cacheName: string }) => stores.get(cacheName)?.get(address)?.clone(),
    keys: async () => [...stores.keys()],
    delete: async (name: string) => stores.delete(name),
  };
  return { caches: caches as unknown as CacheStorage, names: () => [...stores.keys()] };
}

/** As the module throws: an `Error` with own `code` and `details`. */
export function wasmError(code: string, message: string, details: object = {}): Error {
  return Object.assign(new Error(message), { code, details });
}

export function fakeBitmap(width: number, height: number): ImageBitmap & { closed: boolean } {
  const bitmap = { width, height, closed: false, close: () => void (bitmap.closed = true) };
  return bitmap;
}

export interface FakeWorker {
  readonly connect: Connect;
  readonly sent: ToWorker[];
  closed: boolean;
  crash: (error: DiffCRError) => void;
}

/** A {@link Session} reached through a link, a turn of the event loop away. */
export function fakeWorker(wasm: FakeWasm): FakeWorker {
  const worker: FakeWorker = {
    sent: [],
    closed: false,
    crash: () => {},
    connect: (receive, crash) => {
      worker.crash = crash;
      worker.closed = false;
      let closed = false; // this one; another may be started after it
      const post = (message: FromWorker): void => void setTimeout(() => closed || receive(message), 0);
      const session = new Session({ ...wasm.host, post });
      return {
        post: (message) => {
          worker.sent.push(message);
          setTimeout(() => closed || void session.handle(message), 0);
        },
        close: () => {
          closed = true;
          worker.closed = true;
        },
      };
    },
  };
  return worker;
}

/** Bytes that differ from file to file. */
export function fileBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17) % 251);
}

export async function entryOf(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<FileEntry> {
  const digest = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
  return { path, bytes: bytes.byteLength, sha256: digest, part: 'transformer' };
}

/** A bundle of `sizes.length` files, and the addresses under which a fake fetch finds them. */
export async function fakeBundle(base: string, sizes: readonly number[]) {
  const contents = new Map<string, Uint8Array<ArrayBuffer>>();
  const entries: FileEntry[] = [];
  for (const [i, size] of sizes.entries()) {
    const bytes = fileBytes(size, i);
    entries.push(await entryOf(`part-${i}.safetensors`, bytes));
    contents.set(`${base}part-${i}.safetensors`, bytes);
  }
  const manifest = { format: 'diffcr', formatVersion: 1, name: 'fake', version: 'v1', files: entries };
  contents.set(`${base}diffcr.json`, new TextEncoder().encode(JSON.stringify(manifest)));
  return { contents, entries, manifest };
}

/** Serves `contents`; `fault(url, attempt)` may answer first. Honours the signal as the platform does. */
export function fakeFetch(
  contents: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  fault: (url: string, attempt: number) => Response | undefined = () => undefined,
): { fetch: Fetch; asked: string[]; inits: RequestInit[] } {
  const asked: string[] = [];
  const inits: RequestInit[] = [];
  const fetch: Fetch = async (url, init) => {
    init.signal?.throwIfAborted();
    asked.push(url);
    inits.push(init);
    const faulty = fault(url, asked.filter((each) => each === url).length);
    if (faulty !== undefined) return faulty;
    const bytes = contents.get(url);
    return bytes === undefined ? new Response('', { status: 404 }) : new Response(bytes);
  };
  return { fetch, asked, inits };
}

/** `ImageData` for Node. */
export class FakeImageData {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;

  constructor(data: Uint8ClampedArray, width: number, height: number) {
    this.data = data;
    this.width = width;
    this.height = height;
  }
}
