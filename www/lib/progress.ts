/** How far a model is on its way in: one number that only grows, over totals that never change. */

export type Phase = 'manifest' | 'download' | 'verify' | 'upload' | 'compile';

export interface Progress {
  /** The earliest phase that is not over; they overlap, chunk by chunk. */
  readonly phase: Phase;
  readonly loadedBytes: number;
  /** Of them, those that were kept in the browser from an earlier visit. */
  readonly cachedBytes: number;
  /** 0 until the manifest is read, constant from then on. */
  readonly totalBytes: number;
  /** The file that moved last. */
  readonly file?: string;
  /** A file whose bytes have not come for ten seconds; absent while they come. After twenty it is asked for again. */
  readonly stalled?: string;
  /** From 0 to 1, over all phases; never falls. */
  readonly overall: number;
}

/** Shares of `overall`: the manifest and the module's start, the three that grow with the bytes, the model's assembly. */
const SHARES: Readonly<Record<Phase, number>> = { manifest: 0.04, download: 0.72, verify: 0.04, upload: 0.16, compile: 0.04 };

/** An event is worth sending when the bar moves visibly. */
const VISIBLE = 0.002;

/** Counts bytes and tells `report`; a chunk that is fetched again does not make the bar go back. */
export class ProgressMeter {
  readonly #report: (progress: Progress) => void;
  readonly #received = new Map<string, number>();
  #totalBytes = 0;
  #loadedBytes = 0;
  #cachedBytes = 0;
  #verifiedBytes = 0;
  #uploadedBytes = 0;
  #phase: Phase = 'manifest';
  #sent = -1;
  #stalled: string | undefined;

  constructor(report: (progress: Progress) => void = () => {}) {
    this.#report = report;
    this.#tell(0);
  }

  /** The manifest is read and the module runs. */
  start(totalBytes: number): void {
    this.#totalBytes = totalBytes;
    this.#phase = totalBytes > 0 ? 'download' : 'compile';
    this.#tell(this.#overall());
  }

  /** `bytes` of the file have come in so far; on a second attempt they count from 0 again. */
  received(file: string, bytes: number): void {
    this.#received.set(file, bytes);
    const sum = [...this.#received.values()].reduce((a, b) => a + b, 0);
    this.#loadedBytes = Math.min(this.#totalBytes, Math.max(this.#loadedBytes, sum));
    this.#moved(file);
  }

  /** The file was there already. */
  cached(file: string, bytes: number): void {
    this.#cachedBytes += bytes;
    this.received(file, bytes);
  }

  /** Its bytes do not come. */
  stalled(file: string): void {
    this.#stalled = file;
    this.#tell(this.#sent, file);
  }

  verified(file: string, bytes: number): void {
    this.#verifiedBytes += bytes;
    this.#moved(file);
  }

  uploaded(file: string, bytes: number): void {
    this.#uploadedBytes += bytes;
    this.#moved(file);
  }

  /** The model answers. */
  finish(): void {
    this.#tell(1);
  }

  #moved(file: string): void {
    const goesOn = this.#stalled === file;
    if (goesOn) this.#stalled = undefined;
    const before = this.#phase;
    if (this.#loadedBytes < this.#totalBytes) this.#phase = 'download';
    else if (this.#verifiedBytes < this.#totalBytes) this.#phase = 'verify';
    else if (this.#uploadedBytes < this.#totalBytes) this.#phase = 'upload';
    else this.#phase = 'compile';
    const overall = this.#overall();
    if (goesOn || this.#phase !== before || overall - this.#sent >= VISIBLE) this.#tell(overall, file);
  }

  #overall(): number {
    const fraction = (bytes: number): number => (this.#totalBytes > 0 ? bytes / this.#totalBytes : 1);
    return (
      SHARES.manifest +
      SHARES.download * fraction(this.#loadedBytes) +
      SHARES.verify * fraction(this.#verifiedBytes) +
      SHARES.upload * fraction(this.#uploadedBytes)
    );
  }

  #tell(overall: number, file?: string): void {
    this.#sent = overall;
    const progress = {
      phase: this.#phase,
      loadedBytes: this.#loadedBytes,
      cachedBytes: this.#cachedBytes,
      totalBytes: this.#totalBytes,
      ...(this.#stalled === undefined ? {} : { stalled: this.#stalled }),
      overall,
    };
    this.#report(file === undefined ? progress : { ...progress, file });
  }
}
