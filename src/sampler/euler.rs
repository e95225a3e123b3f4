//! Euler's method on the probability-flow ODE, in the convention where noise is added to an unscaled signal.
//!
//! Karras et al., <https://arxiv.org/abs/2206.00364>, algorithm 1, as diffusers' `EulerDiscreteScheduler` runs it by default.

use super::plan::{Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule, linspace};
use crate::Result;
use crate::bundle::config::Prediction;

/// Timesteps are `linspace(T − 1, 0, N)`, fractions kept (in single precision, as diffusers passes them to the model); σ is
/// linear between whole timesteps.
///
/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=T`.
pub fn plan(schedule: &Schedule, prediction: Prediction, steps: usize) -> Result<SolverPlan> {
    Schedule::check_steps(steps, schedule.timesteps())?;
    let ascending = linspace(0.0, (schedule.timesteps() - 1) as f64, steps);
    let timesteps: Vec<f64> = ascending.into_iter().rev().map(|t| f64::from(t as f32)).collect();
    let noisy = |t: &f64| Level { signal: 1.0, sigma: schedule.noise_ratio(*t) };
    let mut levels: Vec<Level> = timesteps.iter().map(noisy).collect();
    levels.push(Level::CLEAN);

    let step = |i: usize| StepPlan {
        timestep: timesteps[i],
        level: levels[i],
        clean: levels[i].to_clean(prediction),
        next: Next::along_the_ode(levels[i], levels[i + 1]),
        next_with_history: None,
    };
    Ok(SolverPlan { steps: (0..steps).map(step).collect(), init_sigma: levels[0].sigma })
}
