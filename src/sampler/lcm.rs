//! Latent consistency sampling: jump to the clean estimate, add fresh noise, repeat; no guidance.
//!
//! Luo et al., <https://arxiv.org/abs/2310.04378>, as diffusers' `LCMScheduler` runs it by default.

use super::plan::{Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule, linspace};
use super::timesteps::check_steps;
use crate::bundle::config::Prediction;
use crate::{Error, Result};

/// Steps of the schedule that consistency models are distilled on.
const ORIGINAL_STEPS: usize = 50;
/// What a timestep is multiplied by in the boundary condition.
const TIMESTEP_SCALING: f64 = 10.0;
/// Standard deviation of the data in the boundary condition.
const SIGMA_DATA: f64 = 0.5;

/// Timesteps are `N` of the 50 distilled ones, evenly spaced from the noisiest.
///
/// # Errors
/// `INVALID_INPUT` on `steps` outside `1..=50`; `MODEL_INVALID` where training had fewer than 50 timesteps.
pub fn plan(schedule: &Schedule, prediction: Prediction, steps: usize) -> Result<SolverPlan> {
    let stride = schedule.timesteps() / ORIGINAL_STEPS;
    if stride == 0 {
        return Err(Error::model("scheduler.trainTimesteps", format!("LCM needs at least {ORIGINAL_STEPS}")));
    }
    check_steps(steps, ORIGINAL_STEPS)?;
    let skipped = linspace(0.0, ORIGINAL_STEPS as f64, steps + 1).into_iter().take(steps);
    let timesteps: Vec<usize> = skipped.map(|i| (ORIGINAL_STEPS - i.floor() as usize) * stride - 1).collect();

    let step = |i: usize| {
        let level = schedule.level(timesteps[i]);
        let to = timesteps.get(i + 1).map_or(Level::CLEAN, |t| schedule.level(*t));
        StepPlan {
            timestep: timesteps[i] as f64,
            level,
            clean: with_boundary(timesteps[i], level.to_clean(prediction)),
            next: Next::renoised(to),
            next_with_history: None,
            corrected: None,
            corrected_with_history: None,
        }
    };
    Ok(SolverPlan { steps: (0..steps).map(step).collect(), init_sigma: 1.0 })
}

/// `c_skip · x + c_out · x0`: at timestep 0 the consistency function is the identity.
fn with_boundary(timestep: usize, (of_x, of_output): (f64, f64)) -> (f64, f64) {
    let scaled = timestep as f64 * TIMESTEP_SCALING;
    let variance = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
    let (skip, out) = (SIGMA_DATA * SIGMA_DATA / variance, scaled / variance.sqrt());
    (skip + out * of_x, out * of_output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_consistency_function_is_the_identity_at_timestep_zero() {
        assert_eq!(with_boundary(0, (3.0, 4.0)), (1.0, 0.0));
    }
}
