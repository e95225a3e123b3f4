//! The timesteps that a solver visits, spaced as diffusers' schedulers space them.

use super::schedule::linspace;
use crate::bundle::config::{SchedulerConfig, TimestepSpacing};
use crate::error::{Error, Result};

/// So many timesteps of `config`, from noisy to clean: for solvers whose `linspace` reaches both ends (DDIM, Euler), whole numbers where `whole`.
///
/// # Errors
/// `InvalidInput` on `steps` outside `1..=T`.
pub fn with_both_ends(config: &SchedulerConfig, usual: TimestepSpacing, steps: usize, whole: bool) -> Result<Vec<f64>> {
    let total = config.train_timesteps;
    check_steps(steps, total)?;
    Ok(match config.timestep_spacing.unwrap_or(usual) {
        TimestepSpacing::Linspace => {
            let ascending = linspace(0.0, (total - 1) as f64, steps).into_iter().rev();
            // The model is told single precision where they are not whole.
            ascending.map(|t| if whole { t.round_ties_even() } else { f64::from(t as f32) }).collect()
        }
        TimestepSpacing::Leading => leading(config, total / steps, steps),
        TimestepSpacing::Trailing => trailing(total, steps),
    })
}

/// The same for solvers of several steps (DPM-Solver++, UniPC), whose `linspace` leaves out the clean end.
///
/// # Errors
/// `InvalidInput` on `steps` outside `1..=T − 1`: more would visit a timestep twice.
pub fn without_the_clean_end(config: &SchedulerConfig, steps: usize) -> Result<Vec<f64>> {
    let total = config.train_timesteps;
    check_steps(steps, total - 1)?;
    Ok(match config.timestep_spacing.unwrap_or(TimestepSpacing::Linspace) {
        TimestepSpacing::Linspace => {
            let ascending = linspace(0.0, (total - 1) as f64, steps + 1).into_iter().skip(1);
            ascending.rev().map(f64::round_ties_even).collect()
        }
        TimestepSpacing::Leading => leading(config, total / (steps + 1), steps + 1)[..steps].to_vec(),
        TimestepSpacing::Trailing => trailing(total, steps),
    })
}

/// Multiples of `stride`, the largest first, moved by the offset and no further than the last timestep.
fn leading(config: &SchedulerConfig, stride: usize, count: usize) -> Vec<f64> {
    let at = |i: usize| (i * stride + config.steps_offset).min(config.train_timesteps - 1);
    (0..count).rev().map(|i| at(i) as f64).collect()
}

/// From the last timestep down, by shares of all.
fn trailing(total: usize, steps: usize) -> Vec<f64> {
    let stride = total as f64 / steps as f64;
    (0..steps).map(|i| (total as f64 - i as f64 * stride).round_ties_even() - 1.0).collect()
}

/// The caller's error unless `1 <= steps <= limit`.
pub(super) fn check_steps(steps: usize, limit: usize) -> Result<()> {
    if (1..=limit).contains(&steps) {
        return Ok(());
    }
    Err(Error::input("steps", format!("{steps} is not between 1 and {limit} for this solver")))
}
