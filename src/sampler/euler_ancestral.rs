//! Euler's method with fresh noise at every step: the ancestral sampler, in the convention of [`super::euler`].
//!
//! As diffusers' `EulerAncestralDiscreteScheduler` runs it (η = 1).

use super::euler;
use super::plan::{Next, SolverPlan};
use super::schedule::{Level, Schedule};
use crate::Result;
use crate::bundle::config::SchedulerConfig;

/// Each step goes down beyond the next level's noise, and fresh noise comes back up to it.
///
/// # Errors
/// As [`euler::plan`].
pub fn plan(schedule: &Schedule, config: &SchedulerConfig, steps: usize) -> Result<SolverPlan> {
    let mut plan = euler::plan(schedule, config, steps)?;
    let levels: Vec<Level> = plan.steps.iter().map(|step| step.level).chain([Level::CLEAN]).collect();
    for (step, pair) in plan.steps.iter_mut().zip(levels.windows(2)) {
        let [from, to] = [pair[0].sigma, pair[1].sigma];
        let up = to * (from * from - to * to).max(0.0).sqrt() / from;
        let down = Level { signal: 1.0, sigma: (to * to - up * up).max(0.0).sqrt() };
        step.next = Next { noise: up, ..Next::along_the_ode(pair[0], down) };
    }
    Ok(plan)
}
