//! DDIM without added noise (η = 0).
//!
//! Song et al., <https://arxiv.org/abs/2010.02502>, as diffusers' `DDIMScheduler` runs it with `clip_sample` off: leading
//! timesteps without an offset, and a last step that lands on the clean estimate.

use super::plan::{Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule};
use crate::Result;
use crate::bundle::config::Prediction;

/// Timesteps are the multiples of `T / N`, rounded down, from the largest to 0.
///
/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=T`.
pub fn plan(schedule: &Schedule, prediction: Prediction, steps: usize) -> Result<SolverPlan> {
    Schedule::check_steps(steps, schedule.timesteps())?;
    let stride = schedule.timesteps() / steps;
    let step = |i: usize| {
        let timestep = i * stride;
        let from = schedule.level(timestep);
        let to = timestep.checked_sub(stride).map_or(Level::CLEAN, |t| schedule.level(t));
        StepPlan {
            timestep: timestep as f64,
            level: from,
            clean: from.to_clean(prediction),
            next: Next::along_the_ode(from, to),
            next_with_history: None,
        }
    };
    Ok(SolverPlan { steps: (0..steps).rev().map(step).collect(), init_sigma: 1.0 })
}
