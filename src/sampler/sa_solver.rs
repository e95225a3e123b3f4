//! SA-Solver of the second order, predictor and corrector: noise comes in while the picture takes shape, and the corrector knows of it.
//!
//! Xue et al., <https://arxiv.org/abs/2309.05019>, as diffusers' `SASolverScheduler` runs it by default: the clean estimate is predicted, τ is 1 from
//! timestep 200 to 800 and 0 elsewhere, and the last step lands on timestep 0.

use super::plan::{Corrected, Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule};
use super::timesteps::without_the_clean_end;
use crate::Result;
use crate::bundle::config::SchedulerConfig;

/// Timesteps at which noise comes in.
const STOCHASTIC: core::ops::RangeInclusive<f64> = 200.0..=800.0;

/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=T − 1`.
pub fn plan(schedule: &Schedule, config: &SchedulerConfig, steps: usize) -> Result<SolverPlan> {
    let timesteps = without_the_clean_end(config, steps)?;
    let mut levels: Vec<Level> = timesteps.iter().map(|t| schedule.level(*t as usize)).collect();
    levels.push(schedule.level(0));
    let interval = |i: usize| Interval::new(levels[i], levels[i + 1], STOCHASTIC.contains(&timesteps[i]));
    let step = |i: usize| {
        let second = i > 0 && i + 1 < steps;
        let corrected = (i > 0).then(|| interval(i - 1).corrected());
        StepPlan {
            timestep: timesteps[i],
            level: levels[i],
            clean: levels[i].to_clean(config.prediction),
            next: interval(i).first_order(),
            next_with_history: second.then(|| interval(i).second_order(levels[i - 1])),
            corrected,
            corrected_with_history: None,
        }
    };
    Ok(SolverPlan { steps: (0..steps).map(step).collect(), init_sigma: 1.0 })
}

/// A step between two levels in the terms of the paper.
struct Interval {
    /// `1 + τ²`.
    a: f64,
    /// λ at its two ends.
    from: f64,
    to: f64,
    /// What the sample, the estimates' coefficients and unit noise are multiplied by.
    sample: f64,
    estimates: f64,
    noise: f64,
}

impl Interval {
    fn new(from: Level, to: Level, stochastic: bool) -> Self {
        let tau = if stochastic { 1.0 } else { 0.0 };
        let h = to.lambda() - from.lambda();
        Self {
            a: 1.0 + tau,
            from: from.lambda(),
            to: to.lambda(),
            sample: libm::exp(-tau * h) * to.sigma / from.sigma,
            estimates: (1.0 + tau) * to.signal,
            noise: to.sigma * (-libm::expm1(-2.0 * tau * h)).sqrt(),
        }
    }

    fn h(&self) -> f64 {
        self.to - self.from
    }

    /// `∫ exp(a (x − λ_t)) x^order dx` over the interval, of order 0 and 1.
    fn integrals(&self) -> [f64; 2] {
        let Self { a, from, to, .. } = *self;
        let fall = libm::exp(-a * self.h());
        [-libm::expm1(-a * self.h()) / a, ((a * to - 1.0) - (a * from - 1.0) * fall) / (a * a)]
    }

    /// The coefficients of the estimates at two places `p` and `q`, between which they are taken to be straight.
    fn straight(&self, p: f64, q: f64) -> [f64; 2] {
        let [constant, linear] = self.integrals();
        [(linear - q * constant) / (p - q), (linear - p * constant) / (q - p)]
    }

    /// `(a h − 1 + exp(−a h)) / a²`: what both refinements take from their own estimate of the third order.
    fn rest(&self) -> f64 {
        let x = self.a * self.h();
        (x + libm::expm1(-x)) / (self.a * self.a)
    }

    fn first_order(&self) -> Next {
        let denoised = self.estimates * self.integrals()[0];
        Next { sample: self.sample, denoised, previous: 0.0, noise: self.noise }
    }

    /// The predictor with an estimate at the level `before`.
    fn second_order(&self, before: Level) -> Next {
        let before = before.lambda();
        let [own, past] = self.straight(self.from, before);
        let refined = (self.h() * self.h() / 2.0 - self.rest()) / (self.from - before);
        Next {
            sample: self.sample,
            denoised: self.estimates * (own + refined),
            previous: self.estimates * (past - refined),
            noise: self.noise,
        }
    }

    /// The corrector of the step over this interval, with the estimate at its end.
    fn corrected(&self) -> Corrected {
        let [own, past] = self.straight(self.to, self.from);
        let refined = self.h() / 2.0 - self.rest() / self.h();
        Corrected {
            sample: self.sample,
            denoised: self.estimates * (own + refined),
            previous: self.estimates * (past - refined),
            before: 0.0,
            noise: self.noise,
        }
    }
}
