/**
 * `diffcr-web/element`: `<diffcr-image model="…" prompt="…">` draws its prompt, and again when an attribute changes. Attributes are `model`,
 * `prompt`, `negative-prompt`, `seed`, `steps`, `guidance`, `width`, `height`, `solver`, `device`. It tells by the events `progress`, `step`,
 * `done` and `error`, whose `detail` is what the API gives. Elements of the same model share it.
 */

import { loadModel, type GenerateOptions, type LoadOptions, type Output, type Pipeline } from 'diffcr-web';

const TEXTS = { prompt: 'prompt', 'negative-prompt': 'negativePrompt', solver: 'solver' } as const;
const NUMBERS = ['seed', 'steps', 'guidance', 'width', 'height'] as const;

/** Models by address and device, with how many elements use them. */
const shared = new Map<string, { users: number; readonly loading: Promise<Pipeline> }>();

/** Nothing to extend on a server. */
const Base = globalThis.HTMLElement ?? (Object as unknown as typeof HTMLElement);

export class DiffCRImage extends Base {
  static readonly observedAttributes: readonly string[] = ['model', 'device', ...Object.keys(TEXTS), ...NUMBERS];
  /** What was drawn last. */
  output?: Output;
  #stop: AbortController | undefined;
  #key: string | undefined;

  connectedCallback(): void {
    this.#start();
  }

  disconnectedCallback(): void {
    this.#stop?.abort();
    this.#leave();
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.#start();
  }

  #start(): void {
    this.#stop?.abort();
    const { signal } = (this.#stop = new AbortController());
    // Attributes that are set one after the other are one run.
    queueMicrotask(() => {
      if (!signal.aborted)
        this.#run(signal).catch((error: unknown) => {
          if (!signal.aborted) this.#tell('error', error);
        });
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const [model, prompt] = [this.getAttribute('model'), this.getAttribute('prompt')];
    if (model === null || prompt === null) return;
    const pipe = await this.#enter(model, this.getAttribute('device'));
    if (signal.aborted) return;
    const options: Record<string, unknown> = { signal, onStep: (step: unknown) => this.#tell('step', step) };
    for (const [attribute, name] of Object.entries(TEXTS)) options[name] = this.getAttribute(attribute) ?? undefined;
    for (const name of NUMBERS) options[name] = this.hasAttribute(name) ? Number(this.getAttribute(name)) : undefined;
    const output = await pipe.generate(options as GenerateOptions);
    this.output = output;
    const { width, height } = output.image;
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    const canvas = Object.assign(this.ownerDocument.createElement('canvas'), { width, height });
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', prompt);
    canvas.getContext('2d')?.putImageData(output.image, 0, 0);
    root.replaceChildren(canvas);
    this.#tell('done', output);
  }

  /** The model, loaded once for all elements that ask for it. */
  #enter(model: string, device: string | null): Promise<Pipeline> {
    const key = `${device ?? 'auto'} ${new URL(model, this.ownerDocument.baseURI).href}`;
    if (key !== this.#key) {
      this.#leave();
      const options = { ...(device === null ? {} : { device }), onProgress: (progress: unknown) => this.#tell('progress', progress) };
      const entry = shared.get(key) ?? { users: 0, loading: loadModel(model, options as LoadOptions) };
      entry.users += 1;
      shared.set(key, entry);
      entry.loading.catch(() => shared.get(key) === entry && shared.delete(key)); // the next one tries again
      this.#key = key;
    }
    const loading = shared.get(key)?.loading;
    if (loading !== undefined) return loading;
    this.#key = undefined;
    return this.#enter(model, device);
  }

  #leave(): void {
    const entry = this.#key === undefined ? undefined : shared.get(this.#key);
    if (entry !== undefined && (entry.users -= 1) === 0) {
      shared.delete(this.#key ?? '');
      entry.loading.then(
        (pipe) => pipe.dispose(),
        () => {},
      );
    }
    this.#key = undefined;
  }

  #tell(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

if (globalThis.customElements?.get('diffcr-image') === undefined) globalThis.customElements?.define('diffcr-image', DiffCRImage);
