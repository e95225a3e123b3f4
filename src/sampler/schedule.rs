//! The noise schedule: betas, their cumulative products and the timesteps a solver visits; pure numbers, handed to the solvers.

use crate::bundle::config::{BetaSchedule, Prediction, SchedulerConfig};
use crate::{Error, Result};

/// A noise level: `x = signal · x0 + sigma · noise`.
///
/// Variance-preserving solvers keep `signal² + sigma² = 1`; Euler keeps `signal = 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    pub signal: f64,
    pub sigma: f64,
}

impl Level {
    /// No noise at all: what the last step lands on.
    pub const CLEAN: Self = Self { signal: 1.0, sigma: 0.0 };

    /// `sqrt(signal² + sigma²)`: the factor between this level and the variance-preserving one of the same noise ratio.
    pub fn norm(self) -> f64 {
        (self.signal * self.signal + self.sigma * self.sigma).sqrt()
    }

    /// Half the logarithm of the signal-to-noise ratio; infinite where there is no noise.
    pub fn lambda(self) -> f64 {
        libm::log(self.signal / self.sigma)
    }

    /// `(a, b)` such that the clean estimate is `a · x + b · output`.
    pub fn to_clean(self, prediction: Prediction) -> (f64, f64) {
        match prediction {
            Prediction::Epsilon => (1.0 / self.signal, -self.sigma / self.signal),
            Prediction::Sample => (0.0, 1.0),
            Prediction::VPrediction => {
                let norm = self.norm();
                (self.signal / (norm * norm), -self.sigma / norm)
            }
        }
    }
}

/// The cumulative product of `1 − beta` at every training timestep.
///
/// Computed as torch does, because these are the numbers that models are trained with; all that follows is in double precision.
#[derive(Debug, Clone)]
pub struct Schedule {
    betas: Vec<f32>,
    alphas_cumprod: Vec<f32>,
}

impl Schedule {
    /// Timesteps a schedule may have, at most.
    const MAX_TIMESTEPS: usize = 100_000;

    /// # Errors
    /// `MODEL_INVALID` naming the setting that makes no schedule.
    pub fn new(config: &SchedulerConfig) -> Result<Self> {
        if !(2..=Self::MAX_TIMESTEPS).contains(&config.train_timesteps) {
            let reason = format!("{} is not between 2 and {}", config.train_timesteps, Self::MAX_TIMESTEPS);
            return Err(Error::model("scheduler.trainTimesteps", reason));
        }
        for (name, beta) in [("scheduler.betaStart", config.beta_start), ("scheduler.betaEnd", config.beta_end)] {
            if !(beta > 0.0 && beta < 1.0) {
                return Err(Error::model(name, format!("{beta} is not between 0 and 1")));
            }
        }
        let mut betas = betas(config);
        if config.zero_terminal_snr {
            betas = without_terminal_signal(&alphas_cumprod(&betas));
        }
        let schedule = Self { alphas_cumprod: alphas_cumprod(&betas), betas };
        if !config.zero_terminal_snr && schedule.alphas_cumprod.iter().any(|a| *a <= 0.0) {
            return Err(Error::model("scheduler.betaEnd", "the schedule leaves no signal at its last timestep"));
        }
        Ok(schedule)
    }

    /// The same with a trace of signal at every timestep, for solvers that divide by it: diffusers' 2⁻²⁴.
    pub fn with_some_signal(mut self) -> Self {
        const TRACE: f32 = 1.0 / (1 << 24) as f32;
        if let Some(last) = self.alphas_cumprod.last_mut().filter(|last| **last == 0.0) {
            *last = TRACE;
        }
        self
    }

    /// Number of training timesteps.
    pub fn timesteps(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// Variance that is added from each timestep to the next.
    pub fn betas(&self) -> impl Iterator<Item = f64> {
        self.betas.iter().map(|&beta| f64::from(beta))
    }

    /// The variance-preserving level of a timestep below [`Schedule::timesteps`].
    pub fn level(&self, timestep: usize) -> Level {
        let alpha = f64::from(self.alphas_cumprod[timestep]);
        Level { signal: alpha.sqrt(), sigma: (1.0 - alpha).sqrt() }
    }

    /// `sigma / signal` at a timestep, linear between whole ones.
    pub fn noise_ratio(&self, timestep: f64) -> f64 {
        let ratio = |t: usize| {
            let Level { signal, sigma } = self.level(t.min(self.timesteps() - 1));
            sigma / signal
        };
        let (below, part) = (timestep.floor(), timestep.fract());
        let (low, high) = (ratio(below as usize), ratio(below as usize + 1));
        low + (high - low) * part
    }
}

/// The betas as torch computes them: `linspace` in single precision, the second half counted from the end.
///
/// In double precision the noise at timestep 0 would differ by 8e-5, because `1 − alpha` cancels; rounding where torch
/// rounds gives torch's schedule to the last bit.
fn betas(config: &SchedulerConfig) -> Vec<f32> {
    let n = config.train_timesteps;
    let root = config.beta_schedule == BetaSchedule::ScaledLinear;
    let ends = [config.beta_start, config.beta_end].map(|b| if root { b.sqrt() as f32 } else { b as f32 });
    let step = f64::from((ends[1] - ends[0]) / (n - 1) as f32);
    let [start, end] = ends.map(f64::from);
    let linspace = (0..n).map(|i| match i < n / 2 {
        true => (start + step * i as f64) as f32,
        false => (end - step * (n - 1 - i) as f64) as f32,
    });
    linspace.map(|b| if root { b * b } else { b }).collect()
}

/// Betas whose square roots of cumulative products `alphas` are shifted so that the last is 0, and scaled so that the first stays: in single precision,
/// as diffusers' `rescale_zero_terminal_snr` does it.
fn without_terminal_signal(alphas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas.iter().map(|a| a.sqrt()).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return vec![] };
    let products: Vec<f32> = roots.iter().map(|root| ((root - last) * (first / (first - last))).powi(2)).collect();
    let ratio = |i: usize| if i == 0 { products[0] } else { products[i] / products[i - 1] };
    (0..products.len()).map(|i| 1.0 - ratio(i)).collect()
}

/// Cumulative products in double precision, each rounded to single precision, as torch stores them.
fn alphas_cumprod(betas: &[f32]) -> Vec<f32> {
    let products = betas.iter().scan(1.0, |product, beta| {
        *product *= f64::from(1.0 - beta);
        Some(*product as f32)
    });
    products.collect()
}

/// `count` values from `start` to `end`, both included (only `start` where `count` is 1), as numpy computes them.
pub(super) fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    let step = (end - start) / count.saturating_sub(1).max(1) as f64;
    let at = |i: usize| if i > 0 && i + 1 == count { end } else { start + step * i as f64 };
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: [f32; 5] = [0.9999, 0.99978006, 0.19357197, 4.1181942e-05, 4.0358304e-05];
    const SCALED_LINEAR: [f32; 5] = [0.99915, 0.998296, 0.4244828, 0.0047166958, 0.004660095];

    fn schedule(beta_schedule: BetaSchedule, beta_start: f64, beta_end: f64) -> Schedule {
        Schedule::new(&SchedulerConfig { beta_schedule, beta_start, beta_end, ..Default::default() }).unwrap()
    }

    /// `torch.cumprod(1 - betas, 0)` of DDPMScheduler, at timesteps 0, 1, 400, 998, 999.
    #[test]
    fn alphas_cumprod_are_torch_s_to_the_last_bit() {
        let at = [0, 1, 400, 998, 999];
        for (schedule, expected) in [
            (schedule(BetaSchedule::Linear, 1e-4, 0.02), LINEAR),
            (schedule(BetaSchedule::ScaledLinear, 0.00085, 0.012), SCALED_LINEAR),
        ] {
            let found = at.map(|t| schedule.alphas_cumprod[t]);
            assert_eq!(found.map(f32::to_bits), expected.map(f32::to_bits), "{found:?}");
        }
    }

    #[test]
    fn a_level_turns_every_prediction_into_the_same_clean_estimate() {
        let (clean, noise) = (0.7, -1.3);
        for level in [Level { signal: 0.6, sigma: 0.8 }, Level { signal: 1.0, sigma: 14.6 }] {
            let Level { signal, sigma } = level;
            let x = signal * clean + sigma * noise;
            let velocity = (signal * noise - sigma * clean) / level.norm();
            for (prediction, output) in
                [(Prediction::Epsilon, noise), (Prediction::Sample, clean), (Prediction::VPrediction, velocity)]
            {
                let (a, b) = level.to_clean(prediction);
                assert!((a * x + b * output - clean).abs() < 1e-12, "{prediction:?} {level:?}");
            }
        }
    }

    #[test]
    fn settings_that_make_no_schedule_are_named() {
        for (config, name) in [
            (SchedulerConfig { train_timesteps: 0, ..Default::default() }, "scheduler.trainTimesteps"),
            (SchedulerConfig { train_timesteps: usize::MAX, ..Default::default() }, "scheduler.trainTimesteps"),
            (SchedulerConfig { beta_start: f64::NAN, ..Default::default() }, "scheduler.betaStart"),
            (SchedulerConfig { beta_end: 1.0, ..Default::default() }, "scheduler.betaEnd"),
            (SchedulerConfig { beta_end: 0.999, ..Default::default() }, "scheduler.betaEnd"),
        ] {
            match Schedule::new(&config) {
                Err(Error::ModelInvalid { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
