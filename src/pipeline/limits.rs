//! What the options of a run may be, and what they are by default: the one table of it.

use serde::Serialize;

use crate::bundle::config::SolverKind;
use crate::error::{Error, Result};
use crate::model::ratios::MAX_SHARE;

/// Side of an image in pixels, at most.
pub const MAX_SIDE: usize = 4096;

/// A number that a caller may choose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct OptionRange {
    /// As JavaScript calls it.
    pub name: &'static str,
    pub min: f64,
    pub max: f64,
    /// What a control moves it by.
    pub step: f64,
    /// Only whole numbers will do.
    pub integer: bool,
    pub default: f64,
}

/// Denoising steps; the default of most solvers, see [`solver_defaults`].
pub const STEPS: OptionRange =
    OptionRange { name: "steps", min: 1.0, max: 1000.0, step: 1.0, integer: true, default: 20.0 };
/// Weight of the prompt against the negative prompt; the default of most solvers, see [`solver_defaults`].
pub const GUIDANCE: OptionRange =
    OptionRange { name: "guidance", min: 0.0, max: 100.0, step: 0.1, integer: false, default: 4.5 };
/// Share of an inpainting's steps that are run.
pub const STRENGTH: OptionRange =
    OptionRange { name: "strength", min: 0.0, max: 1.0, step: 0.01, integer: false, default: 1.0 };
/// Pixels over which an inpainting fades into its image.
pub const FEATHER: OptionRange =
    OptionRange { name: "feather", min: 0.0, max: 4096.0, step: 1.0, integer: false, default: 0.0 };
/// Share of the tokens that layers skip, where `compression` is a number.
pub const COMPRESSION: OptionRange =
    OptionRange { name: "compression", min: 0.0, max: MAX_SHARE, step: 0.05, integer: false, default: 0.0 };

/// All of them.
pub const RANGES: [OptionRange; 5] = [STEPS, GUIDANCE, STRENGTH, FEATHER, COMPRESSION];

/// Steps and guidance that a solver runs with where none are asked for.
pub fn solver_defaults(solver: SolverKind) -> (usize, f64) {
    match solver {
        SolverKind::Lcm => (4, 1.0),
        SolverKind::Dmd => (1, 1.0),
        _ => (STEPS.default as usize, GUIDANCE.default),
    }
}

impl OptionRange {
    /// # Errors
    /// `InvalidInput` naming the option where `value` is outside.
    pub fn check(&self, value: f64) -> Result<()> {
        if (self.min..=self.max).contains(&value) {
            return Ok(());
        }
        Err(Error::input(self.name, format!("{value} is not in {} … {}", self.min, self.max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_inside_and_what_is_outside_is_named() {
        for range in RANGES {
            assert!(range.check(range.default).is_ok(), "{}", range.name);
            for outside in [range.min - 1.0, range.max + 1.0, f64::NAN] {
                assert!(range.check(outside).unwrap_err().to_string().starts_with(range.name));
            }
        }
    }
}
