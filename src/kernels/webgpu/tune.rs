//! Which tiles a device multiplies fastest in, found by timing them on a model's own matrices.

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor};

use super::gemm::Tile;
use super::launch::Buffer;
use super::linear::{Activation, Weight, linear_in};
use super::packed::Format;
use super::self_test::{error, noise};
use crate::device::has_packed_dot;
use crate::error::{Error, Result};

/// What is taken before anything was timed.
const USUAL: Tile = Tile::Direct;
/// Up to so many rows are few.
const FEW: usize = 8;
/// Weights of a matrix for which the choice is worth its time.
const LARGE: usize = 1 << 20;
/// Milliseconds that a launch may take: rows are left out beyond; and that a timing should take.
const LAUNCH: f64 = 20.0;
const TIMING: f64 = 10.0;
/// Of the usual tile's time, what another has to stay below.
const GAIN: f64 = 0.95;
/// Error of [`Tile::Half`] and of [`Tile::Int8`] on the matrix at hand, of the largest value, up to which they may be chosen.
const HALF_ERROR: f64 = 2e-3;
const INT8_ERROR: f64 = 1e-2;

/// What products may round to where that is faster; what comes later includes what comes before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// To f32's own.
    Exact,
    /// Factors to f16.
    #[default]
    Half,
    /// Activations to 8 bits: pictures change a little.
    Int8,
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "exact" => Ok(Self::Exact),
            "half" => Ok(Self::Half),
            "int8" => Ok(Self::Int8),
            _ => Err(Error::input("precision", format!("{name:?} is not \"exact\", \"half\" or \"int8\""))),
        }
    }
}

/// Products that share their fastest tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    format: Format,
    /// `[out, in]`
    shape: [usize; 2],
    few: bool,
}

impl Class {
    pub fn new(format: Format, shape: [usize; 2], rows: usize) -> Self {
        Self { format, shape, few: rows <= FEW }
    }

    /// The tiles that may be its fastest.
    fn candidates(self, precision: Precision, has_f16: bool) -> Vec<Tile> {
        if self.few {
            return vec![USUAL, Tile::Thin];
        }
        // Weights that bundles keep in f32 are meant to be exact.
        let half = precision >= Precision::Half && has_f16 && self.format != Format::F32;
        let int8 = precision >= Precision::Int8 && has_packed_dot() && self.format.is_scaled();
        let rounding = [half.then_some(Tile::Half), int8.then_some(Tile::Int8)];
        [USUAL, Tile::Shared].into_iter().chain(rounding.into_iter().flatten()).collect()
    }
}

/// A matrix with the rows that it is multiplied with.
#[derive(Debug, Clone)]
pub struct Product {
    pub weight: Weight,
    pub rows: usize,
}

/// What [`tune`] found for a class of products.
#[derive(Debug, Clone)]
pub struct Timing {
    class: Class,
    /// Rows that were timed.
    rows: usize,
    /// Milliseconds of a product.
    tiles: Vec<(Tile, f64)>,
    chosen: Tile,
}

impl Timing {
    /// As a line: `q8 4608x1152, 512 rows: direct 1.20 ms, shared 0.80 ms; shared`.
    pub fn line(&self) -> String {
        let Class { format, shape: [outputs, inputs], .. } = self.class;
        let tiles: Vec<_> = self.tiles.iter().map(|(tile, ms)| format!("{} {ms:.2} ms", tile.name())).collect();
        let (rows, chosen) = (self.rows, self.chosen.name());
        format!("{} {outputs}x{inputs}, {rows} rows: {}; {chosen}", format.name(), tiles.join(", "))
    }
}

/// What was timed on the process's device, all in one precision.
struct Timings {
    precision: Precision,
    all: Vec<Timing>,
}

static TIMINGS: Mutex<Timings> = Mutex::new(Timings { precision: Precision::Half, all: Vec::new() });

fn locked() -> MutexGuard<'static, Timings> {
    TIMINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was timed so far.
pub fn timings() -> Vec<Timing> {
    locked().all.clone()
}

/// The fastest tile of the class, or of one like it.
pub(super) fn chosen(class: Class) -> Tile {
    let timings = &locked().all;
    // Only on its own matrix is it known how far another tile is off.
    let exact = |t: &Timing| Tile::EXACT.contains(&t.chosen);
    let alike = |t: &&Timing| (t.class.format, t.class.few) == (class.format, class.few) && exact(t);
    let found = timings.iter().find(|t| t.class == class).or_else(|| timings.iter().find(alike));
    found.map_or(USUAL, |t| t.chosen)
}

/// Times the tiles of each product that is worth it, until `budget` milliseconds of `clock` are over, and keeps the fastest for
/// the products of its class. What was found in another precision is forgotten.
///
/// # Errors
/// `DeviceLost` where the device does not answer.
pub async fn tune(
    products: Vec<Product>,
    precision: Precision,
    device: &Device,
    clock: &dyn Fn() -> f64,
    budget: f64,
) -> Result<()> {
    let end = clock() + budget;
    {
        let mut timings = locked();
        if timings.precision != precision {
            *timings = Timings { precision, all: Vec::new() };
        }
    }
    for product in products {
        let [outputs, inputs] = product.weight.shape();
        let class = Class::new(product.weight.format(), [outputs, inputs], product.rows);
        let known = timings().iter().any(|t| t.class == class);
        if known || inputs * outputs < LARGE || !inputs.is_multiple_of(4) {
            continue;
        }
        let Some(timing) = time(product, class, precision, device, clock, end).await? else { return Ok(()) };
        log::info!("{}", timing.line());
        locked().all.push(timing);
    }
    Ok(())
}

/// None where the time was over first.
async fn time(
    product: Product,
    class: Class,
    precision: Precision,
    device: &Device,
    clock: &dyn Fn() -> f64,
    end: f64,
) -> Result<Option<Timing>> {
    let Product { weight, rows } = product;
    let [_, inputs] = class.shape;
    let run = |tile, x: &Tensor<2>| linear_in(Some(tile), x.clone(), weight.clone(), None, Activation::None);
    // The mean of `count` products at once: waiting itself takes a while.
    let ms = async |tile, x: &Tensor<2>, count: usize| -> Result<f64> {
        let start = clock();
        for _ in 1..count {
            run(tile, x);
        }
        Buffer::packed(run(tile, x)).done().await?;
        Ok((clock() - start) / count as f64)
    };
    let sample = noise([16, inputs], 1.0, device);
    let mut candidates = class.candidates(precision, Buffer::packed(sample.clone()).has_f16());
    for (tile, bound) in [(Tile::Half, HALF_ERROR), (Tile::Int8, INT8_ERROR)] {
        if candidates.contains(&tile) && error(run(tile, &sample), run(USUAL, &sample)).await? > bound {
            candidates.retain(|&other| other != tile);
        }
    }
    let mut x = Tensor::zeros([rows.min(64), inputs], device);
    let mut tiles = Vec::new();
    for tile in candidates {
        ms(tile, &x, 1).await?; // compiles
        if tiles.is_empty() && rows > 64 {
            let part = LAUNCH / ms(tile, &x, 1).await?.max(1e-3);
            x = Tensor::zeros([((64.0 * part) as usize).clamp(64, rows), inputs], device);
        }
        if clock() > end {
            return Ok(None);
        }
        let once = ms(tile, &x, 1).await?;
        let count = (TIMING / once.max(1e-3)).clamp(1.0, 32.0) as usize;
        let again = if count > 1 { ms(tile, &x, count).await?.min(ms(tile, &x, count).await?) } else { once };
        tiles.push((tile, again));
    }
    let bar = tiles.iter().find(|(tile, _)| *tile == USUAL).map_or(f64::MAX, |(_, ms)| ms * GAIN);
    let best = tiles.iter().filter(|(_, ms)| *ms < bar).min_by(|a, b| a.1.total_cmp(&b.1));
    let chosen = best.map_or(USUAL, |(tile, _)| *tile);
    Ok(Some(Timing { class, rows: x.dims()[0], tiles, chosen }))
}
