//! A stage of a run's curriculum: one picture size, for some steps, at one learning rate.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Steps of a stage, at most: those of all stages can be added up.
const MAX_STEPS: u64 = 1_000_000_000;

/// A stage of the curriculum: a `[[stage]]` of the file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Pixels along a side.
    pub size: usize,
    /// Interpolation scale of the positions.
    #[serde(default = "one")]
    pub scale: f64,
    pub batch: usize,
    pub steps: u64,
    /// The learning rate.
    #[serde(rename = "lr")]
    pub rate: f64,
    /// Share of the pictures that are drawn as one object on a plain background: shapes are learned sooner there.
    #[serde(default)]
    pub plain: f64,
    /// Share of the pictures that are drawn as two objects on a plain background: the order of words is learned sooner there.
    #[serde(default)]
    pub pairs: f64,
}

fn one() -> f64 {
    1.0
}

impl Stage {
    /// Whether the values are in range; this is the `index`-th stage.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting.
    pub fn check(&self, index: usize) -> Result<()> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let unit = |v: f64| (0.0..=1.0).contains(&v);
        let rules = [
            ((1..=4096).contains(&self.size), "size", "is outside 1..4096"),
            ((1..=65536).contains(&self.batch), "batch", "is outside 1..65536"),
            ((1..=MAX_STEPS).contains(&self.steps), "steps", "is outside 1..1000000000"),
            (positive(self.scale), "scale", "must be positive"),
            (positive(self.rate), "lr", "must be positive"),
            (unit(self.plain), "plain", "is outside 0..1"),
            (
                unit(self.pairs) && unit(self.plain + self.pairs),
                "pairs",
                "and `plain` are shares that sum up to 1 at most",
            ),
        ];
        match rules.iter().find(|(holds, ..)| !holds) {
            Some((_, field, reason)) => Err(Error::input(format!("stage[{index}].{field}"), *reason)),
            None => Ok(()),
        }
    }
}
