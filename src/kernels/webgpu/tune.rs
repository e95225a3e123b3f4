//! Which tiles a device multiplies fastest in, found by timing them on a model's own matrices.

use burn::tensor::{Device, Tensor};

use super::gemm::Tile;
use super::launch::Buffer;
use super::linear::{Activation, Weight, linear_in};
use super::self_test::{error, noise};
use super::timings::{self, Class, Precision, Timing, USUAL};
use crate::error::Result;

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

/// A matrix with the rows that it is multiplied with.
#[derive(Debug, Clone)]
pub struct Product {
    pub weight: Weight,
    pub rows: usize,
}

impl Product {
    pub(super) fn class(&self) -> Class {
        Class::new(self.weight.format(), self.weight.shape(), self.rows)
    }
}

/// Times the tiles of each product that is worth it, until `budget` milliseconds of `clock` are over, and keeps the fastest for
/// the products of its class. What `known`, the JSON of earlier [`timings`], has of them is taken as it is, unless this device or the
/// precision rules it out. What was found in another precision is forgotten.
///
/// # Errors
/// `DeviceLost` where the device does not answer.
pub async fn tune(
    products: Vec<Product>,
    precision: Precision,
    known: &str,
    device: &Device,
    clock: &dyn Fn() -> f64,
    budget: f64,
) -> Result<()> {
    let end = clock() + budget;
    let has_f16 = Buffer::packed(Tensor::<1>::zeros([1], device)).has_f16();
    timings::begin(precision, known, &products, has_f16);
    for product in products {
        let class = product.class();
        let [outputs, inputs] = class.shape;
        if timings::is_known(class) || inputs * outputs < LARGE || !inputs.is_multiple_of(4) {
            continue;
        }
        if clock() >= end {
            return Ok(());
        }
        let candidates = class.candidates(precision, has_f16);
        let Some(timing) = time(product, candidates, device, clock, end).await? else { return Ok(()) };
        log::info!("{}", timing.line());
        timings::keep(timing);
    }
    Ok(())
}

/// None where the time was over first.
async fn time(
    product: Product,
    mut candidates: Vec<Tile>,
    device: &Device,
    clock: &dyn Fn() -> f64,
    end: f64,
) -> Result<Option<Timing>> {
    let class = product.class();
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
