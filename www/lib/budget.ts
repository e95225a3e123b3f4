/**
 * What loading a model and drawing its usual picture takes, from its manifest alone: as `src/pipeline/budget.rs` counts it, to whose numbers
 * a test holds it. Nothing of the engine is here yet when this is asked.
 */

import type { Backend, Budget, FileEntry, Parts, TinyVaeConfig, VaeConfig } from './contract.ts';

/** Of a manifest, what is read here. */
export interface Listed {
  readonly files: readonly Pick<FileEntry, 'bytes'>[];
  readonly parts: Parts;
  readonly tensors: Readonly<Record<string, ListedTensor>>;
}

interface ListedTensor {
  readonly shape: readonly number[];
  readonly encoding: 'f32' | 'f16' | 'q8' | 'q4';
  readonly group?: number;
}

/** The picture that is asked for; `batch`: images of a step, 2 under guidance. */
export interface BudgetRequest {
  readonly width: number;
  readonly height: number;
  readonly batch: number;
}

const HOST_TABLE = 'text_encoder.shared.weight';
const WASM_OWN = 8 * 2 ** 20;
const LIVE_TOKENS = 12;
const LIVE_LATENTS = 12;
const LIVE_MAPS = 4;
const SCORE_TILE_BYTES = 4 * 64;
const LIVE_SCORES = 3;
const MAX_SCORES_BYTES = 64 * 2 ** 20;
const MAX_MAP_BYTES = 128 * 2 ** 20;
const MAX_HIDDEN_BYTES = 128 * 2 ** 20;
const RESIDENT_BYTES = 256 * 2 ** 20;
const RESIDENT_ENCODER_BYTES = 32 * 2 ** 20;
const STREAMED_LAYERS = 2;
const LEAST_HALF = 2 ** 18;
const BITS = { f32: 32, f16: 16, q8: 8, q4: 4 } as const;

/** A guided picture of the model's own size. */
export function usualRequest({ parts }: Listed): BudgetRequest {
  const side = parts.transformer.sampleSize * pixelScale(parts);
  return { width: side, height: side, batch: 2 };
}

export function budgetOf(manifest: Listed, request: BudgetRequest, backend: Backend): Budget {
  const weights = weightBytes(manifest, backend);
  const activations = activationBytes(manifest, request);
  const largestFile = Math.max(0, ...manifest.files.map(({ bytes }) => bytes));
  const picture = request.width * request.height * 2 * (3 * 4 + 4);
  const onDevice = weights.device + activations.peak;
  const host = weights.host + picture + WASM_OWN;
  if (backend === 'cpu') {
    const loading = weights.device + weights.host + 3 * largestFile + WASM_OWN;
    return { peakHeapBytes: Math.max(host + onDevice + scoreBytes(manifest, request), loading), peakGpuBytes: 0, maxBindingBytes: 0 };
  }
  return {
    peakHeapBytes: host + 3 * largestFile,
    peakGpuBytes: onDevice,
    maxBindingBytes: Math.max(weights.largest, activations.largest),
  };
}

/** Scores of attention that the CPU holds at once. */
function scoreBytes({ parts }: Listed, { width, height, batch }: BudgetRequest): number {
  const cells = Math.floor((width * height) / pixelScale(parts) ** 2);
  const tokens = Math.floor(cells / parts.transformer.patchSize ** 2);
  return LIVE_SCORES * Math.min(batch * parts.transformer.heads * 4 * tokens ** 2, MAX_SCORES_BYTES);
}

function weightBytes({ tensors, parts }: Listed, backend: Backend) {
  const all = Object.entries(tensors).map(([name, tensor]) => ({ name, tensor, size: sizeOnDevice(name, tensor, backend) }));
  const ofText = all.filter(({ name }) => name.startsWith('text_encoder.'));
  const sum = (list: typeof all): number => list.reduce((bytes, { size }) => bytes + size, 0);
  const streams = parts.textEncoder !== undefined && sum(ofText) > RESIDENT_BYTES;
  const ofEncoder = all.filter(({ name }) => /^vae\.(encoder|quant_conv)\./.test(name));
  const comes = sum(ofEncoder) > RESIDENT_ENCODER_BYTES;
  const networks = all.filter((each) => each.name !== HOST_TABLE && !(comes && ofEncoder.includes(each)));
  const passing = streams ? networks.filter((each) => ofText.includes(each)) : [];
  const staying = networks.filter((each) => !passing.includes(each));
  const layer = Math.floor(sum(passing) / Math.max(1, parts.textEncoder?.layers ?? 1));
  const table = all.find(({ name }) => name === HOST_TABLE);
  return {
    device: sum(staying) + STREAMED_LAYERS * layer,
    host: table === undefined || streams ? 0 : 4 * elementsOf(table.tensor),
    largest: Math.max(0, ...networks.map(({ size }) => size)),
  };
}

const elementsOf = ({ shape }: ListedTensor): number => shape.reduce((product, side) => product * side, 1);

/** Bytes of a tensor where networks compute. */
function sizeOnDevice(name: string, tensor: ListedTensor, backend: Backend): number {
  const elements = elementsOf(tensor);
  if (backend === 'cpu') return 4 * elements;
  // Sixteen weights for nine: those that meet the same cell are added up.
  if (name.includes('.upsamplers.0.conv.weight')) return Math.floor((4 * elements * 16) / 9);
  return (isPackable(tensor) || isHalfConv(tensor)) && name !== HOST_TABLE ? packedBytes(tensor, elements) : 4 * elements;
}

/** Whether it is a convolution's weight that kernels read in f16. */
function isHalfConv({ shape, encoding }: ListedTensor): boolean {
  const [outputs = 0, inputs = 0, height, width] = shape;
  const fits = shape.length === 4 && outputs % 8 === 0 && inputs % 4 === 0 && height === width;
  return encoding === 'f16' && fits && elementsOf({ shape, encoding }) >= LEAST_HALF;
}

/** Whether there is a kernel for the matrix as it is stored: rows of whole words, and groups of them. */
function isPackable({ shape: [, inputs = 0, ...more], encoding, group }: ListedTensor): boolean {
  if (encoding === 'f32' || inputs === 0 || more.length > 0) return false;
  return encoding === 'f16' ? inputs % 4 === 0 : group !== undefined && group % 8 === 0 && inputs % group === 0;
}

function packedBytes({ encoding, group }: ListedTensor, elements: number): number {
  const scales = encoding === 'q8' || encoding === 'q4' ? Math.floor((2 * elements) / (group ?? 1)) : 0;
  return Math.floor((elements * BITS[encoding]) / 8) + scales;
}

function activationBytes({ parts }: Listed, { width, height, batch }: BudgetRequest) {
  const { transformer } = parts;
  const channels = transformer.heads * transformer.headDim;
  const cells = Math.floor((width * height) / pixelScale(parts) ** 2);
  const tokens = Math.floor(cells / transformer.patchSize ** 2);
  const map = batch * tokens * 4 * channels;
  const latents = batch * cells * 4 * Math.max(transformer.inChannels, transformer.outChannels);
  const network = map * LIVE_TOKENS + latents * LIVE_LATENTS + tokens * (SCORE_TILE_BYTES + 4 * channels);
  const values = peakValuesPerCell(parts);
  const vae = values === undefined ? 0 : Math.min(cells, tileSide(values) ** 2) * 4 * values;
  return {
    peak: Math.max(network, vae * LIVE_MAPS + 2 * latents),
    largest: Math.max(map, Math.min(4 * map, MAX_HIDDEN_BYTES), latents, vae),
  };
}

/** Side of the largest tile, in cells, whose maps fit. */
function tileSide(valuesPerCell: number): number {
  const cells = Math.floor(MAX_MAP_BYTES / (4 * Math.max(1, valuesPerCell)));
  return Math.max(16, Math.floor(Math.min(Math.floor(Math.sqrt(cells)), 2 ** 16) / 8) * 8);
}

function pixelScale({ vae, vaeTiny }: Parts): number {
  return vae !== undefined ? klScale(vae) : vaeTiny !== undefined ? tinyScale(vaeTiny) : 1;
}

function klScale({ blockOutChannels }: VaeConfig): number {
  return 2 ** (blockOutChannels.length - 1);
}

function tinyScale({ patchSize = 1, upsamplingFactor, decoderBlockChannels }: TinyVaeConfig): number {
  return patchSize * upsamplingFactor ** (decoderBlockChannels.length - 1);
}

/** Values of the decoder's largest feature map for one cell of the latents. */
function peakValuesPerCell({ vae, vaeTiny }: Parts): number | undefined {
  if (vae !== undefined) {
    const widths = vae.blockOutChannels;
    const level = (own: number, i: number): number => Math.max(own, widths[i + 1] ?? own) * Math.floor(klScale(vae) / 2 ** i) ** 2;
    return Math.max(0, ...widths.map(level));
  }
  if (vaeTiny === undefined) return undefined;
  const { decoderBlockChannels, decoderBlocks, upsamplingFactor } = vaeTiny;
  const level = (channels: number, i: number): number => channels * upsamplingFactor ** (2 * Math.min(i + 1, decoderBlocks.length - 1));
  return Math.max(0, ...decoderBlockChannels.map(level));
}
