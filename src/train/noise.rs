//! What a step is asked: timesteps spread over the regions, noise, and the noisy pictures with their targets and weights.

use super::random::Random;
use crate::error::{Error, Result};
use crate::model::config::Prediction;
use crate::sampler::noise::gaussian;
use crate::sampler::schedule::Schedule;

/// Part of a batch, all of it in one region of the timesteps.
#[derive(Debug, Clone, PartialEq)]
pub struct MicroBatch {
    pub region: usize,
    /// Side in pixels.
    pub size: usize,
    pub timesteps: Vec<usize>,
    /// `[b, 3, size, size]`, clean.
    pub images: Vec<f32>,
    /// Token ids of each caption.
    pub ids: Vec<Vec<u32>>,
    /// Seed and stream of its noise.
    pub noise: (u64, u64),
}

/// A micro-batch as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Noisy {
    /// `[b, 3, size, size]`, as `target`.
    pub latents: Vec<f32>,
    pub target: Vec<f32>,
    /// What each picture's error counts.
    pub weights: Vec<f32>,
}

/// Timesteps of a batch: every region gets the same number. Within a region they are uniform, then `shift`ed towards its noisy end:
/// a place `u` in it becomes `s u / (1 + (s − 1) u)`.
pub fn timesteps(random: &mut Random, count: usize, regions: usize, train_timesteps: usize, shift: f64) -> Vec<usize> {
    let draw = |i: usize, random: &mut Random| {
        let region = i * regions / count.max(1);
        let (low, high) = (first(region, regions, train_timesteps), first(region + 1, regions, train_timesteps));
        let place = (random.below(high - low) as f64 + 0.5) / (high - low) as f64;
        let place = shift * place / (1.0 + (shift - 1.0) * place);
        low + ((place * (high - low) as f64) as usize).min(high - low - 1)
    };
    (0..count).map(|i| draw(i, random)).collect()
}

/// The first timestep of a region: the smallest t with `floor(t · R / T) = region`.
fn first(region: usize, regions: usize, train_timesteps: usize) -> usize {
    (region * train_timesteps).div_ceil(regions)
}

impl MicroBatch {
    /// `x = signal · image + sigma · noise`, and what the network should answer.
    ///
    /// A predicted sample's error counts `1 / (1 − ᾱ)`, at most `cap`; a predicted noise's or velocity's counts 1.
    ///
    /// # Errors
    /// `Internal` where the pictures do not fill the batch.
    pub fn noisy(&self, schedule: &Schedule, prediction: Prediction, cap: f64) -> Result<Noisy> {
        let picture = 3 * self.size * self.size;
        if self.images.len() != picture * self.timesteps.len() || self.ids.len() != self.timesteps.len() {
            return Err(Error::internal("the pictures do not fill the batch"));
        }
        let noise = gaussian(self.noise.0, self.noise.1, self.images.len());
        let mut noisy = Noisy {
            latents: Vec::with_capacity(noise.len()),
            target: Vec::with_capacity(noise.len()),
            weights: vec![],
        };
        for ((&t, image), noise) in self.timesteps.iter().zip(self.images.chunks(picture)).zip(noise.chunks(picture)) {
            let level = schedule.level(t);
            let (signal, sigma) = (level.signal as f32, level.sigma as f32);
            let pairs = || image.iter().zip(noise);
            noisy.latents.extend(pairs().map(|(x, e)| signal * x + sigma * e));
            match prediction {
                Prediction::Sample => noisy.target.extend(image),
                Prediction::Epsilon => noisy.target.extend(noise),
                Prediction::VPrediction => noisy.target.extend(pairs().map(|(x, e)| signal * e - sigma * x)),
            }
            noisy.weights.push(match prediction {
                Prediction::Sample => (1.0 / (level.sigma * level.sigma)).min(cap) as f32,
                _ => 1.0,
            });
        }
        Ok(noisy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ratios::region;

    #[test]
    fn every_region_gets_its_share() {
        for regions in [1, 3, 4, 10] {
            let drawn = timesteps(&mut Random::new(1, 2), 60, regions, 1000, 2.0);
            for r in 0..regions {
                let count = drawn.iter().filter(|&&t| region(t as f64, regions, 1000) == r).count();
                assert_eq!(count, 60 / regions, "region {r} of {regions}");
            }
            assert!(drawn.is_sorted_by_key(|&t| region(t as f64, regions, 1000)));
        }
    }

    #[test]
    fn a_shift_moves_the_median_and_one_moves_nothing() {
        let median = |shift| {
            let mut drawn = timesteps(&mut Random::new(1, 2), 4001, 1, 1000, shift);
            drawn.sort_unstable();
            drawn[2000] as f64
        };
        assert!((median(1.0) - 500.0).abs() < 25.0);
        assert!((median(3.0) - 750.0).abs() < 25.0);
        let mut random = Random::new(1, 2);
        assert_eq!(timesteps(&mut Random::new(1, 2), 1, 1, 1000, 1.0), [random.below(1000)]);
    }

    #[test]
    fn targets_and_weights_follow_the_prediction() {
        let schedule = Schedule::new(&Default::default()).unwrap();
        let batch = MicroBatch {
            region: 0,
            size: 1,
            timesteps: vec![0, 999],
            images: vec![0.5; 6],
            ids: vec![vec![1]; 2],
            noise: (3, 4),
        };
        let sample = batch.noisy(&schedule, Prediction::Sample, 4.0).unwrap();
        assert_eq!(sample.target, batch.images);
        assert_eq!(sample.weights[0], 4.0);
        assert!((sample.weights[1] - 1.0).abs() < 1e-3);
        let epsilon = batch.noisy(&schedule, Prediction::Epsilon, 4.0).unwrap();
        assert_eq!(epsilon.target, gaussian(3, 4, 6));
        assert!((sample.latents[0] - 0.5).abs() < 0.05 && (sample.latents[5] - epsilon.target[5]).abs() < 0.05);
    }
}
