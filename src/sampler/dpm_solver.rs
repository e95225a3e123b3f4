//! DPM-Solver++ of the first order and of the second, multistep (2M, midpoint): the default solver.
//!
//! Lu et al., <https://arxiv.org/abs/2211.01095>, as diffusers' `DPMSolverMultistepScheduler` runs it by default. The first
//! step has no history and the last lands on σ = 0; both are of the first order.

use super::plan::{Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule};
use super::timesteps::without_the_clean_end;
use crate::Result;
use crate::bundle::config::SchedulerConfig;

/// Timesteps are `round(linspace(0, T − 1, N + 1))` by default, reversed, without the last; `order` is 1 or 2.
///
/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=T − 1`.
pub fn plan(schedule: &Schedule, config: &SchedulerConfig, steps: usize, order: usize) -> Result<SolverPlan> {
    let timesteps = without_the_clean_end(config, steps)?;
    let mut levels: Vec<Level> = timesteps.iter().map(|t| schedule.level(*t as usize)).collect();
    levels.push(Level::CLEAN);

    let step = |i: usize| {
        let (from, to) = (levels[i], levels[i + 1]);
        let second = order == 2 && i > 0 && i + 1 < steps;
        StepPlan {
            timestep: timesteps[i],
            level: from,
            clean: from.to_clean(config.prediction),
            next: Next::along_the_ode(from, to),
            next_with_history: second.then(|| second_order(levels[i - 1], from, to)),
            corrected: None,
            corrected_with_history: None,
        }
    };
    Ok(SolverPlan { steps: (0..steps).map(step).collect(), init_sigma: 1.0 })
}

/// The first-order step with its clean estimate extrapolated to the midpoint: `m0 + (m0 − m1) / 2r`, `r = h0 / h`.
fn second_order(before: Level, from: Level, to: Level) -> Next {
    let first = Next::along_the_ode(from, to);
    let r = (from.lambda() - before.lambda()) / (to.lambda() - from.lambda());
    let lean = first.denoised * 0.5 / r;
    Next { denoised: first.denoised + lean, previous: -lean, ..first }
}
