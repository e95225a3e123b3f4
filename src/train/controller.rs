//! The controller of λ, the weight of the ratio loss: it brings the mean keep ratio to its target and holds it there.
//!
//! The paper leaves the schedule open. Ours has two halves. The target moves linearly from no compression to the asked one over
//! the first part of the run ([`target_at`]), so that the error stays small and λ has nothing to overshoot. λ itself grows or
//! shrinks by a factor a step: the penalty pulls with `2λ · error`, so where it balances the denoising loss the error is
//! `pull / 2λ`, and growing λ while the smoothed error is above half of [`BAND`] (shrinking it while below) leaves the error there.

use serde::{Deserialize, Serialize};

use super::exact;

/// The mean keep ratio is held within this of its target; λ aims at half of it.
pub const BAND: f64 = 0.005;
/// Largest change of ln λ in a step.
pub const SPEED: f64 = 0.02;
/// Share of the newest error in the smoothed one.
const NEWEST: f64 = 0.1;
/// λ stays between its first value and this multiple of it.
const RANGE: f64 = 1e5;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    #[serde(with = "exact")]
    pub lambda: f64,
    #[serde(with = "exact")]
    first: f64,
    /// Smoothed `mean − target`.
    #[serde(with = "exact")]
    error: f64,
}

impl Controller {
    /// With λ as it is at the start.
    pub fn new(lambda: f64) -> Self {
        Self { lambda, first: lambda, error: 0.0 }
    }

    /// Whether its numbers are some that a run can have.
    pub fn is_sound(&self) -> bool {
        [self.lambda, self.first].iter().all(|v| v.is_finite() && *v > 0.0) && self.error.is_finite()
    }

    /// Takes the mean keep ratio after a step and the target it had.
    pub fn update(&mut self, mean: f64, target: f64) {
        self.error += NEWEST * (mean - target - self.error);
        let aim = BAND / 2.0;
        let excess = ((self.error.abs() - aim) / aim).clamp(-1.0, 1.0);
        self.lambda = (self.lambda * (SPEED * excess).exp()).clamp(self.first, self.first * RANGE);
    }
}

/// The mean keep ratio asked for at a share `done` of the run: from `start` to `1 − compression` over the first `ramp` of it.
pub fn target_at(start: f64, compression: f64, ramp: f64, done: f64) -> f64 {
    start + (1.0 - compression - start) * (done / ramp.max(1e-9)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::Random;
    use crate::train::config::OptimizerConfig;
    use crate::train::optimizer::{AdamW, Group, Rate, rate_shape};
    use crate::train::stage::Stage;

    /// A table whose entries resist compression with very different strength and noisy gradients; the last fifth's worst distance.
    fn worst(compression: f64, strength: f64, steps: u64) -> f64 {
        let entries = 32;
        let mut random = Random::new(5, 0);
        let cost: Vec<f64> = (0..entries).map(|_| strength * random.uniform(0.05, 1.0)).collect();
        let mut ratio = vec![1.0f32; entries];
        let mut adam = AdamW::new(entries, [0.9, 0.98]);
        let groups = [Group { range: 0..entries, rate: Rate::Own(2e-3), weight_decay: 0.0, clipped: false }];
        let optimizer = OptimizerConfig::default();
        let stage = Stage { size: 64, scale: 1.0, batch: 64, steps, rate: 1e-4, plain: 0.0, pairs: 0.0 };
        let mut controller = Controller::new(0.3);
        let mut worst = 0f64;
        for step in 0..steps {
            let target = target_at(1.0, compression, 0.5, step as f64 / steps as f64);
            let mean = ratio.iter().map(|&r| f64::from(r)).sum::<f64>() / entries as f64;
            let gradient: Vec<f32> = (0..entries)
                .map(|i| {
                    let denoise = -2.0 * cost[i] * (1.0 - f64::from(ratio[i])) / entries as f64;
                    let noise = 0.5 * strength * random.gaussian() / entries as f64;
                    (denoise + noise + controller.lambda * 2.0 * (mean - target) / entries as f64) as f32
                })
                .collect();
            adam.update(&mut ratio, &gradient, &groups, 1e-4, rate_shape(&optimizer, &stage, step));
            ratio.iter_mut().for_each(|r| *r = r.clamp(0.1, 1.0));
            let mean = ratio.iter().map(|&r| f64::from(r)).sum::<f64>() / entries as f64;
            controller.update(mean, target);
            if step >= steps * 4 / 5 {
                worst = worst.max((mean - (1.0 - compression)).abs());
            }
        }
        println!("{compression} at strength {strength}, {steps} steps: worst {worst:.4}, λ {:.2}", controller.lambda);
        worst
    }

    #[test]
    fn the_target_is_reached_and_held_within_a_point() {
        for compression in [0.2, 0.3, 0.5] {
            for strength in [0.01, 0.3, 10.0] {
                for steps in [600, 4000] {
                    assert!(worst(compression, strength, steps) < 0.01);
                }
            }
        }
    }

    #[test]
    fn the_target_moves_from_nothing_to_what_is_asked() {
        let near = |found: [f64; 4], want: [f64; 4]| found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near([0.0, 0.25, 0.5, 1.0].map(|done| target_at(1.0, 0.3, 0.5, done)), [1.0, 0.85, 0.7, 0.7]));
        assert!(near([0.0, 0.25, 0.5, 1.0].map(|done| target_at(0.7, 0.5, 0.5, done)), [0.7, 0.6, 0.5, 0.5]));
    }
}
