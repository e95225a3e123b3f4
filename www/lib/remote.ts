/** The page's side of the worker: sends requests, matches answers, and outlives the worker's death with a clean error. */

import { throwIfAborted } from './abort.ts';
import { asError, DiffCRError, fromWire } from './errors.ts';
import type { FromWorker, Reply, ReplyOf, RunPhase, Step, ToWorker } from './protocol.ts';

/** A running worker. */
export interface Link {
  post(message: ToWorker, transfer: Transferable[]): void;
  close(): void;
}

/** Starts a worker that tells `receive` its messages and `crash` its end. */
export type Connect = (receive: (message: FromWorker) => void, crash: (error: DiffCRError) => void) => Link;

export interface CallOptions {
  readonly transfer?: Transferable[];
  /** Tells the worker to stop; the call then rejects with its `AbortError`. */
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: Step) => void) | undefined;
  readonly onPhase?: ((phase: RunPhase) => void) | undefined;
}

interface Pending {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: DiffCRError | DOMException) => void;
  readonly onStep: ((step: Step) => void) | undefined;
  readonly onPhase: ((phase: RunPhase) => void) | undefined;
}

export class Remote {
  /** Rejects when the worker ends, for whatever reason. */
  readonly ended: Promise<never>;
  readonly #link: Link;
  readonly #pending = new Map<number, Pending>();
  #end: (error: DiffCRError | DOMException) => void = () => {};
  #ended: DiffCRError | DOMException | undefined;
  #nextId = 1;

  constructor(connect: Connect) {
    this.ended = new Promise<never>((_, reject) => {
      this.#end = reject;
    });
    this.ended.catch(() => {});
    this.#link = connect(
      (message) => this.#receive(message),
      (error) => this.close(error),
    );
  }

  /** It has ended. */
  get over(): boolean {
    return this.#ended !== undefined;
  }

  /** Sends a request and waits for its answer, which must be of type `expected`. */
  async call<T extends Reply['type']>(expected: T, message: (id: number) => ToWorker, options: CallOptions = {}): Promise<ReplyOf<T>> {
    const { transfer = [], signal, onStep, onPhase } = options;
    throwIfAborted(signal);
    if (this.#ended !== undefined) throw gone(this.#ended);
    const id = this.#nextId++;
    const stop = (): void => {
      if (this.#pending.has(id)) this.#link.post({ id, type: 'abort' }, []);
    };
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const reply = await new Promise<Reply>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject, onStep, onPhase });
        // Something that cannot cross to the worker throws here, and is a rejection.
        this.#link.post(message(id), transfer);
      });
      if (isReply(reply, expected)) return reply;
      throw new DiffCRError('INTERNAL', `the worker answered ${reply.type} instead of ${expected}`);
    } finally {
      this.#pending.delete(id);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Ends the worker; what is under way rejects with `reason`, what comes later with `DISPOSED`. */
  close(reason: DiffCRError | DOMException): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#link.close();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#end(reason);
  }

  #receive(message: FromWorker): void {
    if (message.type === 'hello') return; // whoever started the worker has heard it
    if (message.type === 'crashed') {
      this.close(fromWire(message.error));
      return;
    }
    const pending = this.#pending.get(message.id);
    if (message.type === 'step') {
      if (pending?.onStep !== undefined) pending.onStep(message.step);
      else message.step.preview?.close();
    } else if (message.type === 'phase') {
      pending?.onPhase?.(message.phase);
    } else if (message.type === 'reply') {
      pending?.resolve(message.reply);
    } else {
      const error = fromWire(message.error);
      pending?.reject(error);
      if (message.dead) this.close(error);
    }
  }
}

function isReply<T extends Reply['type']>(reply: Reply, type: T): reply is ReplyOf<T> {
  return reply.type === type;
}

function gone(reason: DiffCRError | DOMException): DiffCRError {
  const cause = asError(reason);
  if (cause instanceof DiffCRError && cause.code === 'DISPOSED') return cause;
  return new DiffCRError('DISPOSED', `the pipeline has ended: ${cause.message}`, {}, cause);
}
