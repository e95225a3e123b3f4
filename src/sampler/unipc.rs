//! UniPC of the second order (`bh2`): a predictor like DPM-Solver++'s, and a corrector that costs no further call of the model.
//!
//! Zhao et al., <https://arxiv.org/abs/2302.04867>, as diffusers' `UniPCMultistepScheduler` runs it by default: the clean estimate is predicted, the
//! first step and the last are of the first order.

use super::plan::{Corrected, Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule};
use super::timesteps::without_the_clean_end;
use crate::Result;
use crate::bundle::config::SchedulerConfig;

/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=T − 1`.
pub fn plan(schedule: &Schedule, config: &SchedulerConfig, steps: usize) -> Result<SolverPlan> {
    let timesteps = without_the_clean_end(config, steps)?;
    let mut levels: Vec<Level> = timesteps.iter().map(|t| schedule.level(*t as usize)).collect();
    levels.push(Level::CLEAN);
    let step = |i: usize| {
        let (from, to) = (levels[i], levels[i + 1]);
        let second = i > 0 && i + 1 < steps;
        StepPlan {
            timestep: timesteps[i],
            level: from,
            clean: from.to_clean(config.prediction),
            next: Next::along_the_ode(from, to),
            next_with_history: second.then(|| predicted(levels[i - 1], from, to)),
            corrected: (i > 0).then(|| first_order(levels[i - 1], from)),
            corrected_with_history: (i > 1).then(|| second_order(levels[i - 2], levels[i - 1], from)),
        }
    };
    Ok(SolverPlan { steps: (0..steps).map(step).collect(), init_sigma: 1.0 })
}

/// A step between two levels in the terms of the paper.
struct Interval {
    /// `σ_t / σ_s`.
    shrink: f64,
    /// `α_t · expm1(−h)`: what the estimates are multiplied by.
    factor: f64,
    /// `λ_t − λ_s`.
    h: f64,
}

impl Interval {
    fn new(from: Level, to: Level) -> Self {
        let h = to.lambda() - from.lambda();
        Self { shrink: to.sigma / from.sigma, factor: to.signal * libm::expm1(-h), h }
    }

    /// How far the level `before` lies from `from`, in steps of this one; negative.
    fn ratio(&self, before: Level, from: Level) -> f64 {
        (before.lambda() - from.lambda()) / self.h
    }
}

/// The predictor with one estimate of the past: half of the difference quotient.
fn predicted(before: Level, from: Level, to: Level) -> Next {
    let interval = Interval::new(from, to);
    let lean = 0.5 * interval.factor / interval.ratio(before, from);
    Next { sample: interval.shrink, denoised: -interval.factor + lean, previous: -lean, noise: 0.0 }
}

/// The corrector of a step of the first order, which went `from` the level before `to` this one.
fn first_order(from: Level, to: Level) -> Corrected {
    let Interval { shrink, factor, .. } = Interval::new(from, to);
    Corrected { sample: shrink, denoised: -0.5 * factor, previous: -0.5 * factor, before: 0.0, noise: 0.0 }
}

/// The corrector of a step of the second order, with an estimate `before` it.
fn second_order(before: Level, from: Level, to: Level) -> Corrected {
    let interval = Interval::new(from, to);
    let Interval { shrink, factor, h } = interval;
    let ratio = interval.ratio(before, from);
    // The two functions of the paper, over `expm1(−h)`, that the differences' weights must sum up to.
    let phi = libm::expm1(-h) / -h - 1.0;
    let (first, second) = (phi / libm::expm1(-h), 2.0 * (phi / -h - 0.5) / libm::expm1(-h));
    let of_past = (first - second) / (1.0 - ratio);
    let of_now = first - of_past;
    let lean = factor * of_past / ratio;
    Corrected {
        sample: shrink,
        denoised: -factor * of_now,
        previous: -factor + factor * of_now + lean,
        before: -lean,
        noise: 0.0,
    }
}
