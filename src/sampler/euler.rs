//! Euler's method on the probability-flow ODE, in the convention where noise is added to an unscaled signal.
//!
//! Karras et al., <https://arxiv.org/abs/2206.00364>, algorithm 1, as diffusers' `EulerDiscreteScheduler` runs it by default.

use super::plan::{Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule};
use super::timesteps::with_both_ends;
use crate::Result;
use crate::bundle::config::{SchedulerConfig, TimestepSpacing};

/// Timesteps are `linspace(T − 1, 0, N)` by default, fractions kept (in single precision, as diffusers passes them to the model); σ is linear
/// between whole timesteps.
///
/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=T`.
pub fn plan(schedule: &Schedule, config: &SchedulerConfig, steps: usize) -> Result<SolverPlan> {
    let timesteps = with_both_ends(config, TimestepSpacing::Linspace, steps, false)?;
    let noisy = |t: &f64| Level { signal: 1.0, sigma: schedule.noise_ratio(*t) };
    let mut levels: Vec<Level> = timesteps.iter().map(noisy).collect();
    levels.push(Level::CLEAN);

    let step = |i: usize| StepPlan {
        timestep: timesteps[i],
        level: levels[i],
        clean: levels[i].to_clean(config.prediction),
        next: Next::along_the_ode(levels[i], levels[i + 1]),
        next_with_history: None,
        corrected: None,
        corrected_with_history: None,
    };
    // Leading timesteps begin below the last, where the picture is not negligible.
    let leading = config.timestep_spacing == Some(TimestepSpacing::Leading);
    let init_sigma = if leading { levels[0].norm() } else { levels[0].sigma };
    Ok(SolverPlan { steps: (0..steps).map(step).collect(), init_sigma })
}
