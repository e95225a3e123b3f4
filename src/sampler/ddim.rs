//! DDIM without added noise (η = 0).
//!
//! Song et al., <https://arxiv.org/abs/2010.02502>, as diffusers' `DDIMScheduler` runs it with `clip_sample` off: leading
//! timesteps by default, and a last step that lands on the clean estimate.

use super::plan::{Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule};
use super::timesteps::with_both_ends;
use crate::Result;
use crate::bundle::config::{SchedulerConfig, TimestepSpacing};

/// A step goes `T / N` timesteps down, rounded down, whatever the spacing; one that would go below 0 lands on the clean estimate.
///
/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=T`.
pub fn plan(schedule: &Schedule, config: &SchedulerConfig, steps: usize) -> Result<SolverPlan> {
    let timesteps = with_both_ends(config, TimestepSpacing::Leading, steps, true)?;
    let stride = schedule.timesteps() / steps;
    let last = schedule.timesteps() - 1;
    let step = |timestep: &f64| {
        let at = (*timestep as usize).min(last);
        let from = schedule.level(at);
        let to = at.checked_sub(stride).map_or(Level::CLEAN, |t| schedule.level(t));
        StepPlan {
            timestep: *timestep,
            level: from,
            clean: from.to_clean(config.prediction),
            next: Next::along_the_ode(from, to),
            next_with_history: None,
            corrected: None,
            corrected_with_history: None,
        }
    };
    Ok(SolverPlan { steps: timesteps.iter().map(step).collect(), init_sigma: 1.0 })
}
