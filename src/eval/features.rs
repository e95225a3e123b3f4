//! How far apart two sets of pictures are: the Fréchet distance of their features in a fixed random network.
//!
//! No trained network: three strided convolutions with seeded Gaussian weights (3×3 → 16, 32, 64 channels, ReLU), averaged over the
//! picture after each, make 112 features of a 64 × 64 picture. Random convolutions tell textures, colours and edges apart
//! well enough to rank sets of simple scenes; their distances compare only with distances of this same network, and, as
//! with every Fréchet distance, only among sets of the same number of pictures.

mod symmetric;

use crate::data::random::Random;
use crate::error::{Error, Result};
use symmetric::{Matrix, eigen};

/// Seed of the network's weights: another seed is another distance.
const SEED: u64 = 0x0DD5;
/// Channels after each layer, the picture's first.
const CHANNELS: [usize; 4] = [3, 16, 32, 64];
/// Features of a picture.
pub const FEATURES: usize = CHANNELS[1] + CHANNELS[2] + CHANNELS[3];

/// The fixed network.
#[derive(Debug, Clone)]
pub struct Extractor {
    /// `[out, in, 3, 3]` of each layer.
    layers: Vec<Vec<f32>>,
}

impl Default for Extractor {
    /// Weights of variance `2 / inputs`, which keeps the scale through ReLUs (He initialisation).
    fn default() -> Self {
        let layer = |(i, pair): (usize, &[usize])| {
            let (input, output) = (pair[0] * 9, pair[1]);
            let mut random = Random::new(SEED, i as u64);
            let scale = (2.0 / input as f64).sqrt();
            (0..input * output).map(|_| (random.gaussian() * scale) as f32).collect()
        };
        Self { layers: CHANNELS.windows(2).enumerate().map(layer).collect() }
    }
}

impl Extractor {
    /// Features `[112]` of an image `[3, size, size]`: means of every channel of every layer.
    ///
    /// # Errors
    /// `InvalidInput` where the values do not fill the shape.
    pub fn features(&self, image: &[f32], size: usize) -> Result<Vec<f32>> {
        if size < 8 || image.len() != 3 * size * size {
            return Err(Error::input("image", format!("{} values are no [3, {size}, {size}]", image.len())));
        }
        let (mut map, mut side) = (image.to_vec(), size);
        let mut features = Vec::with_capacity(FEATURES);
        for (weights, pair) in self.layers.iter().zip(CHANNELS.windows(2)) {
            (map, side) = convolve(&map, side, weights, pair[0], pair[1]);
            features.extend(map.chunks_exact(side * side).map(|c| c.iter().sum::<f32>() / c.len() as f32));
        }
        Ok(features)
    }
}

/// 3×3, stride 2, zero padding, ReLU: `[input, side, side]` to `[output, ⌈side / 2⌉, ⌈side / 2⌉]`.
fn convolve(map: &[f32], side: usize, weights: &[f32], input: usize, output: usize) -> (Vec<f32>, usize) {
    let half = side.div_ceil(2);
    let mut out = vec![0.0f32; output * half * half];
    for (o, plane) in out.chunks_exact_mut(half * half).enumerate() {
        for i in 0..input {
            let source = &map[i * side * side..][..side * side];
            let kernel = &weights[(o * input + i) * 9..][..9];
            for (k, &w) in kernel.iter().enumerate() {
                for y in 0..half {
                    let Some(sy) = (2 * y + k / 3).checked_sub(1).filter(|sy| *sy < side) else { continue };
                    for x in 0..half {
                        if let Some(sx) = (2 * x + k % 3).checked_sub(1).filter(|sx| *sx < side) {
                            plane[y * half + x] += w * source[sy * side + sx];
                        }
                    }
                }
            }
        }
        plane.iter_mut().for_each(|v| *v = v.max(0.0));
    }
    (out, half)
}

/// Mean and covariance of a set of features.
#[derive(Debug, Clone)]
pub struct Statistics {
    mean: Vec<f64>,
    covariance: Matrix,
}

impl Statistics {
    /// Of rows of equal length.
    ///
    /// # Errors
    /// `InvalidInput`: fewer than two rows, or rows of different lengths.
    pub fn new(rows: &[Vec<f32>]) -> Result<Self> {
        let width = rows.first().map_or(0, Vec::len);
        if rows.len() < 2 || width == 0 || rows.iter().any(|r| r.len() != width) {
            return Err(Error::input("features", "a distribution needs two rows of equal length"));
        }
        let count = rows.len() as f64;
        let mean: Vec<f64> = (0..width).map(|i| rows.iter().map(|r| f64::from(r[i])).sum::<f64>() / count).collect();
        let mut covariance = Matrix::zeros(width);
        for row in rows {
            let centred: Vec<f64> = row.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m).collect();
            for i in 0..width {
                for j in 0..width {
                    covariance[(i, j)] += centred[i] * centred[j] / (count - 1.0);
                }
            }
        }
        Ok(Self { mean, covariance })
    }

    /// `|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`, with the root's trace taken of the symmetric `Σ₁^½ Σ₂ Σ₁^½`.
    ///
    /// # Errors
    /// `InvalidInput` where the two are of different widths.
    pub fn frechet(&self, other: &Self) -> Result<f64> {
        if self.mean.len() != other.mean.len() {
            return Err(Error::input("features", "two distributions of different widths have no distance"));
        }
        let apart: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b) * (a - b)).sum();
        let root = eigen(&self.covariance).map(|v| v.max(0.0).sqrt());
        let product = root.times(&other.covariance).times(&root);
        let trace_root: f64 = eigen(&product).values.iter().map(|v| v.max(0.0).sqrt()).sum();
        Ok((apart + self.covariance.trace() + other.covariance.trace() - 2.0 * trace_root).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scenes::{describe, render};

    /// Samples of a Gaussian with independent axes.
    fn samples(mean: [f64; 3], deviation: [f64; 3], seed: u64) -> Statistics {
        let mut random = Random::new(seed, 0);
        let rows: Vec<Vec<f32>> = (0..40_000)
            .map(|_| (0..3).map(|i| (mean[i] + deviation[i] * random.gaussian()) as f32).collect())
            .collect();
        Statistics::new(&rows).unwrap()
    }

    #[test]
    fn gaussians_have_their_closed_form() {
        let (a, b) = (samples([0.0, 1.0, 2.0], [1.0, 2.0, 0.5], 1), samples([1.0, 1.0, 0.0], [2.0, 2.0, 1.5], 2));
        // |μ|² = 5, Σ (σ₁ − σ₂)² = 1 + 0 + 1.
        assert!((a.frechet(&b).unwrap() - 7.0).abs() < 0.15, "{}", a.frechet(&b).unwrap());
        assert!(a.frechet(&a).unwrap() < 1e-9);
    }

    /// Two covariances that do not commute: for 2×2, tr √M = √(tr M + 2 √det M).
    #[test]
    fn covariances_that_do_not_commute() {
        let of = |c: [f64; 3]| {
            let mut covariance = Matrix::zeros(2);
            (covariance[(0, 0)], covariance[(1, 1)], covariance[(0, 1)], covariance[(1, 0)]) = (c[0], c[1], c[2], c[2]);
            Statistics { mean: vec![0.0; 2], covariance }
        };
        let (a, b) = ([2.0, 1.0, 0.5], [1.0, 3.0, -1.0]);
        let product = a[0] * b[0] + a[1] * b[1] + 2.0 * a[2] * b[2]; // tr(Σ₁ Σ₂)
        let determinant: f64 = (a[0] * a[1] - a[2] * a[2]) * (b[0] * b[1] - b[2] * b[2]);
        let expected = a[0] + a[1] + b[0] + b[1] - 2.0 * (product + 2.0 * determinant.sqrt()).sqrt();
        assert!((of(a).frechet(&of(b)).unwrap() - expected).abs() < 1e-10);
        assert!((of(b).frechet(&of(a)).unwrap() - expected).abs() < 1e-10);
    }

    #[test]
    fn spoiled_pictures_are_farther_than_true_ones() {
        let extractor = Extractor::default();
        let set = |seed: u64, spoil: &dyn Fn(f32) -> f32| {
            let mut random = Random::new(seed, 0);
            let rows: Vec<_> = (0..150)
                .map(|_| render(&describe(&mut random), 64).into_iter().map(spoil).collect::<Vec<f32>>())
                .map(|image| extractor.features(&image, 64).unwrap())
                .collect();
            Statistics::new(&rows).unwrap()
        };
        let (truth, other, faded) = (set(1, &|v| v), set(2, &|v| v), set(2, &|v| v * 0.7));
        let (floor, distance) = (truth.frechet(&other).unwrap(), truth.frechet(&faded).unwrap());
        assert!(distance > 1.3 * floor, "{floor} {distance}");
        assert!(Extractor::default().features(&[0.0; 5], 64).is_err());
    }
}
