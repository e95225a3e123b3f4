//! Decoding in overlapping tiles: bounded memory for any image.
//!
//! A decoder's memory grows with the area it decodes. `AutoencoderKL` at 1024² holds maps of 256 channels × 1024² × 4
//! bytes, a GiB each and several at once, and WebGPU binds 128 MiB at a time unless a device offers more. In tiles the
//! largest map is [`Vae::peak_values_per_cell`](super::Vae::peak_values_per_cell) · tile² · 4 bytes: with the SDXL
//! decoder 256 MiB at 64 cells (512 px) and 64 MiB at 32 cells (256 px), with TAESD 64 MiB at 64 cells. About four such
//! maps live at once (input, shortcut, normalized, output); the image itself, 12 MiB at 1024², is extra.
//!
//! Neighbours share at least `overlap` cells. The outer quarter of what they share is context, dropped; the middle half
//! is a linear cross-fade:
//!
//! ```text
//! left   ━━━━━━━━━━━━━━━━╲╲╲╲╲╲╲╲····          ━ kept   · dropped
//! right              ····╱╱╱╱╱╱╱╱━━━━━━━━━━━━━━━━
//!                    └── overlap ───┘
//! ```
//!
//! So a purely convolutional decoder (`AutoencoderTiny`) gives the untiled image exactly, up to rounding, once a quarter
//! of the overlap covers its receptive field; with a quarter of the tile as overlap the tests' decoder is within 0.4 %.
//!
//! `AutoencoderKL` is not local: its group norms and its attention see a tile instead of the image, so a tile's tone
//! depends on what else is in it. The cross-fade keeps the border from showing, not the tone from drifting: with the
//! tests' random weights, tiles that hold several periods of a wave differ from the whole by 3 % on average, tiles that
//! hold half a period by 35 %. Use the largest tile that fits.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, s};

use crate::error::{Error, Result};

/// Sides of tiles, in latent cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileConfig {
    /// Side of a tile: latents up to this size are decoded whole.
    pub tile: usize,
    /// Cells that neighbours share, at least; a quarter of `tile` is a good choice.
    pub overlap: usize,
}

impl TileConfig {
    /// The largest tile, a multiple of 8 cells, whose feature maps fit into `max_bytes` of f32 each; 16 cells at least.
    pub fn fitting(peak_values_per_cell: usize, max_bytes: u64) -> Self {
        let cells = max_bytes / (4 * peak_values_per_cell.max(1) as u64);
        let tile = (cells.isqrt().min(1 << 16) as usize / 8 * 8).max(16);
        Self { tile, overlap: tile / 4 }
    }
}

/// A decoding under way: take a tile, decode it, push the result; between tiles the caller may wait, report or stop.
#[derive(Debug)]
pub struct TiledDecode {
    latents: Tensor<4>,
    scale: usize,
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
    pushed: usize,
    /// Finished rows of tiles, joined.
    image: Option<Tensor<4>>,
    /// The tiles of the row under way, joined.
    strip: Option<Tensor<4>>,
}

impl TiledDecode {
    /// `latents` `[B, C, h, w]`; `scale` is the number of pixels along one cell.
    ///
    /// # Errors
    /// `INVALID_INPUT` if there is no latent, or the overlap is not smaller than the tile.
    pub fn new(latents: Tensor<4>, config: TileConfig, scale: usize) -> Result<Self> {
        let [_, _, height, width] = latents.dims();
        if height == 0 || width == 0 {
            return Err(Error::input("latents", format!("{width}x{height} cells are nothing to decode")));
        }
        if config.overlap >= config.tile {
            let TileConfig { tile, overlap } = config;
            return Err(Error::input("overlap", format!("{overlap} cells are not fewer than a tile's {tile}")));
        }
        let (rows, columns) = (spans(height, config), spans(width, config));
        Ok(Self { latents, scale, rows, columns, pushed: 0, image: None, strip: None })
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Latents of the next tile `[B, C, t, t]`, row by row; `None` when all are pushed.
    pub fn next_tile(&self) -> Option<Tensor<4>> {
        let (row, column) = self.position();
        let (rows, columns) = (self.rows.get(row)?.clone(), self.columns.get(column)?.clone());
        Some(self.latents.clone().slice(s![.., .., rows, columns]))
    }

    /// Takes the image of the tile that [`Self::next_tile`] gave: `[B, 3, t·scale, t·scale]`.
    pub fn push(&mut self, tile: Tensor<4>) {
        let (row, column) = self.position();
        let strip = match self.strip.take() {
            Some(strip) => join::<3>(strip, tile, self.shared(&self.columns, column)),
            None => tile,
        };
        self.pushed += 1;
        if column + 1 < self.columns.len() {
            self.strip = Some(strip);
            return;
        }
        self.image = Some(match self.image.take() {
            Some(image) => join::<2>(image, strip, self.shared(&self.rows, row)),
            None => strip,
        });
    }

    /// The image `[B, 3, h·scale, w·scale]`.
    ///
    /// # Errors
    /// `INTERNAL` if tiles are missing.
    pub fn finish(self) -> Result<Tensor<4>> {
        let total = self.len();
        match self.image {
            Some(image) if self.pushed == total => Ok(image),
            _ => Err(Error::internal(format!("{} of {total} tiles were decoded", self.pushed))),
        }
    }

    /// Row and column of the next tile.
    fn position(&self) -> (usize, usize) {
        (self.pushed / self.columns.len(), self.pushed % self.columns.len())
    }

    /// Pixels that span `index` shares with the one before it.
    fn shared(&self, spans: &[Range<usize>], index: usize) -> usize {
        (spans[index - 1].end - spans[index].start) * self.scale
    }
}

/// Decodes `latents` `[B, C, h, w]` tile by tile into `[B, 3, h·scale, w·scale]`; latents within one tile go through
/// `decode` whole and unchanged. An error of `decode` ends it.
pub fn decode_tiled(
    latents: Tensor<4>,
    config: TileConfig,
    scale: usize,
    mut decode: impl FnMut(Tensor<4>) -> Result<Tensor<4>>,
) -> Result<Tensor<4>> {
    let mut tiles = TiledDecode::new(latents, config, scale)?;
    while let Some(tile) = tiles.next_tile() {
        tiles.push(decode(tile)?);
    }
    tiles.finish()
}

/// Encodes `image` `[B, 3, h·scale, w·scale]` tile by tile into `[B, C, h, w]`, as [`decode_tiled`] does the other way: what tiles share
/// is cross-faded, an image within one tile goes through `encode` whole.
pub fn encode_tiled(
    image: Tensor<4>,
    config: TileConfig,
    scale: usize,
    mut encode: impl FnMut(Tensor<4>) -> Result<Tensor<4>>,
) -> Result<Tensor<4>> {
    let [_, _, height, width] = image.dims();
    let pixels = |cells: &Range<usize>| cells.start * scale..cells.end * scale;
    // The cells themselves, as a decoder of scale 1 would see them, so that the tiles are joined in the same way.
    let cells = Tensor::zeros([1, 1, height / scale, width / scale], &image.device());
    let mut tiles = TiledDecode::new(cells, config, 1)?;
    while let (row, column) = tiles.position()
        && let (Some(rows), Some(columns)) = (tiles.rows.get(row), tiles.columns.get(column))
    {
        let tile = image.clone().slice(s![.., .., pixels(rows), pixels(columns)]);
        tiles.push(encode(tile)?);
    }
    tiles.finish()
}

/// The fewest spans of one size that cover `length` and overlap enough, evenly spread.
fn spans(length: usize, TileConfig { tile, overlap }: TileConfig) -> Vec<Range<usize>> {
    if length <= tile {
        return std::iter::once(0..length).collect();
    }
    let steps = (length - tile).div_ceil(tile - overlap);
    (0..=steps).map(|i| (length - tile) * i / steps).map(|start| start..start + tile).collect()
}

/// Joins `next` to `done` along `DIM`, where the last `shared` pixels of one are the first of the other.
fn join<const DIM: usize>(done: Tensor<4>, next: Tensor<4>, shared: usize) -> Tensor<4> {
    let dropped = shared / 4;
    let faded = shared - 2 * dropped;
    let kept = done.dims()[DIM] - dropped - faded;
    let tail = next.dims()[DIM] - dropped - faded;
    if faded == 0 {
        return Tensor::cat(vec![done, next], DIM);
    }

    let ramp = (0..faded).map(|i| (i as f32 + 0.5) / faded as f32).collect::<Vec<_>>();
    let mut shape = [1; 4];
    shape[DIM] = faded;
    let ramp = Tensor::<4>::from_data(TensorData::new(ramp, shape), &done.device());

    let from = done.clone().narrow(DIM, kept, faded);
    let to = next.clone().narrow(DIM, dropped, faded);
    let fade = from.clone() + (to - from) * ramp;
    Tensor::cat(vec![done.narrow(DIM, 0, kept), fade, next.narrow(DIM, dropped + faded, tail)], DIM)
}
