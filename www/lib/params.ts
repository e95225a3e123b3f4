/** The parameters inside a picture of ours, for drawing it again. */

import { guarded } from './guard.ts';
import { invalid } from './options.ts';
import type { RunParams } from './output.ts';
import { readText } from './png.ts';

/** What a PNG of `Output.toBlob` was drawn with. */
export interface PictureParams extends RunParams {
  /** Hash over the files of the model. */
  readonly modelVersion: string;
}

/** The parameters in a PNG of ours; undefined where a file has none. Rejects with `INVALID_INPUT` where `png` is no `Blob`. */
export function readParams(png: Blob): Promise<PictureParams | undefined> {
  return guarded(async () => {
    if (typeof png?.arrayBuffer !== 'function') throw invalid('png', 'it is no Blob');
    const text = readText(new Uint8Array(await png.arrayBuffer()), 'diffcr');
    if (text === undefined) return undefined;
    try {
      const read: unknown = JSON.parse(text);
      return typeof read === 'object' && read !== null && 'modelVersion' in read ? (read as PictureParams) : undefined;
    } catch {
      return undefined;
    }
  });
}
