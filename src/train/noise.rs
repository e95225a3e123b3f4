//! What a step is asked: timesteps spread over the regions, noise, and the noisy pictures with their targets and weights.

use crate::bundle::config::Prediction;
use crate::data::random::Random;
use crate::error::{Error, Result};
use crate::sampler::noise::gaussian_from;
use crate::sampler::schedule::Schedule;

/// What a picture shows, as the network takes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Caption {
    /// Token ids, for the text encoder.
    Ids(Vec<u32>),
    /// Its states, `[tokens, width]`, without padding.
    States(Vec<f32>),
}

/// Part of a batch, all of it in one region of the timesteps.
#[derive(Debug, Clone, PartialEq)]
pub struct MicroBatch {
    pub region: usize,
    /// Of a picture, or of its latents.
    pub channels: usize,
    /// Side in pixels, or in cells of the latents.
    pub size: usize,
    pub timesteps: Vec<usize>,
    /// `[b, channels, size, size]`, clean.
    pub images: Vec<f32>,
    /// `[b, size, size]`, 1 in the hole; empty where the model draws whole pictures.
    pub masks: Vec<f32>,
    pub captions: Vec<Caption>,
    /// Seed and stream of its noise.
    pub noise: (u64, u64),
}

/// A micro-batch as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Noisy {
    /// `[b, channels, size, size]`, as `target`; with masks `[b, 2 channels + 1, size, size]`: the noisy picture, the mask, the picture
    /// without its hole.
    pub latents: Vec<f32>,
    pub target: Vec<f32>,
    /// What each picture's error counts.
    pub weights: Vec<f32>,
    /// With masks, what the error of each pixel counts beside that, `[b, size, size]`, one on average in a picture.
    pub emphasis: Vec<f32>,
}

/// What a pixel outside the hole counts: blending will replace it.
const OUTSIDE: f32 = 0.1;
/// Values that a core draws at once: the micro-batches of a CPU have fewer.
const TOGETHER: usize = 1 << 17;

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
        let plane = self.size * self.size;
        let (picture, count) = (self.channels * plane, self.timesteps.len());
        let masked = !self.masks.is_empty();
        if self.images.len() != picture * count
            || self.captions.len() != count
            || (masked && self.masks.len() != plane * count)
        {
            return Err(Error::internal("the pictures do not fill the batch"));
        }
        let noise = draw(self.noise, self.images.len());
        let mut noisy = Noisy {
            latents: Vec::with_capacity(noise.len()),
            target: Vec::with_capacity(noise.len()),
            weights: vec![],
            emphasis: vec![],
        };
        let pictures = self.timesteps.iter().zip(self.images.chunks(picture)).zip(noise.chunks(picture));
        for (i, ((&t, image), noise)) in pictures.enumerate() {
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
            if masked {
                let mask = &self.masks[i * plane..][..plane];
                noisy.latents.extend(mask);
                noisy.latents.extend(image.iter().zip(mask.iter().cycle()).map(|(x, m)| x * (1.0 - m)));
                noisy.emphasis.extend(emphasis(mask));
            }
        }
        Ok(noisy)
    }
}

/// `count` values of a seed's stream; many are drawn on all cores.
fn draw((seed, stream): (u64, u64), count: usize) -> Vec<f32> {
    let parts: Vec<usize> = (0..count).step_by(TOGETHER).collect();
    let part = |&start: &usize| gaussian_from(seed, stream, start, TOGETHER.min(count - start));
    if parts.len() < 2 {
        return gaussian_from(seed, stream, 0, count);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let chunks = parts.chunks(parts.len().div_ceil(cores));
        let threads: Vec<_> =
            chunks.map(|chunk| scope.spawn(move || chunk.iter().flat_map(part).collect::<Vec<f32>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// Of each pixel, from a mask: [`OUTSIDE`] the hole, and inside what makes it one on average.
fn emphasis(mask: &[f32]) -> impl Iterator<Item = f32> {
    let share = (mask.iter().sum::<f32>() / mask.len().max(1) as f32).max(1e-6);
    let inside = (1.0 - OUTSIDE * (1.0 - share)) / share;
    mask.iter().map(move |m| OUTSIDE + (inside - OUTSIDE) * m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ratios::region;
    use crate::sampler::noise::gaussian;

    #[test]
    fn noise_is_the_same_on_any_number_of_cores() {
        for count in [7, TOGETHER, 3 * TOGETHER + 5] {
            assert_eq!(draw((3, 4), count), gaussian(3, 4, count));
        }
    }

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
            channels: 3,
            size: 1,
            timesteps: vec![0, 999],
            images: vec![0.5; 6],
            masks: vec![],
            captions: vec![Caption::Ids(vec![1]); 2],
            noise: (3, 4),
        };
        let sample = batch.noisy(&schedule, Prediction::Sample, 4.0).unwrap();
        assert_eq!(sample.target, batch.images);
        assert_eq!(sample.weights[0], 4.0);
        assert!((sample.weights[1] - 1.0).abs() < 1e-3);
        assert!(sample.emphasis.is_empty());
        let epsilon = batch.noisy(&schedule, Prediction::Epsilon, 4.0).unwrap();
        assert_eq!(epsilon.target, gaussian(3, 4, 6));
        assert!((sample.latents[0] - 0.5).abs() < 0.05 && (sample.latents[5] - epsilon.target[5]).abs() < 0.05);
    }
    #[test]
    fn a_hole_is_shown_to_the_model_and_counts_most() {
        let schedule = Schedule::new(&Default::default()).unwrap();
        let image: Vec<f32> = (1..=12).map(|v| v as f32).collect();
        let batch = MicroBatch {
            region: 0,
            channels: 3,
            size: 2,
            timesteps: vec![500],
            images: image.clone(),
            masks: vec![0.0, 1.0, 0.0, 0.0],
            captions: vec![Caption::Ids(vec![1])],
            noise: (3, 4),
        };
        let noisy = batch.noisy(&schedule, Prediction::Sample, 4.0).unwrap();
        let (x, shown) = noisy.latents.split_at(12);
        assert_eq!(
            x,
            MicroBatch { masks: vec![], ..batch.clone() }.noisy(&schedule, Prediction::Sample, 4.0).unwrap().latents
        );
        assert_eq!(shown[..4], batch.masks);
        assert_eq!(shown[4..], [1.0, 0.0, 3.0, 4.0, 5.0, 0.0, 7.0, 8.0, 9.0, 0.0, 11.0, 12.0]);
        assert!((noisy.emphasis.iter().sum::<f32>() / 4.0 - 1.0).abs() < 1e-6);
        assert!(noisy.emphasis[1] > 3.0 && noisy.emphasis[0] == OUTSIDE);
        assert_eq!(noisy.target, image);
        assert!(MicroBatch { masks: vec![1.0], ..batch }.noisy(&schedule, Prediction::Sample, 4.0).is_err());
    }
}
