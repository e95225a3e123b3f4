//! One step of a model distilled by distribution matching (PixArt-DMD): pure noise, read as timestep 400, to an image.
//!
//! Yin et al., <https://arxiv.org/abs/2311.18828>; the timestep is the one the PixArt-Sigma authors distilled at.

use super::plan::{Next, SolverPlan, StepPlan};
use super::schedule::{Level, Schedule};
use crate::bundle::config::Prediction;
use crate::{Error, Result};

const TIMESTEP: usize = 400;

/// # Errors
/// `INVALID_INPUT` on `steps` other than 1; `MODEL_INVALID` where training had no timestep 400.
pub fn plan(schedule: &Schedule, prediction: Prediction, steps: usize) -> Result<SolverPlan> {
    if schedule.timesteps() <= TIMESTEP {
        return Err(Error::model("scheduler.trainTimesteps", format!("DMD needs more than {TIMESTEP}")));
    }
    if steps != 1 {
        return Err(Error::input("steps", format!("{steps} is not 1, all that DMD takes")));
    }
    let level = schedule.level(TIMESTEP);
    let step = StepPlan {
        timestep: TIMESTEP as f64,
        level,
        clean: level.to_clean(prediction),
        next: Next::renoised(Level::CLEAN),
        next_with_history: None,
        corrected: None,
        corrected_with_history: None,
    };
    Ok(SolverPlan { steps: vec![step], init_sigma: 1.0 })
}
