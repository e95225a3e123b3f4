//! A stage of a run's curriculum: one picture size, for some steps, at one learning rate.

use crate::error::{Error, Result};

/// A stage of the curriculum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Pixels along a side.
    pub size: usize,
    /// Interpolation scale of the positions.
    pub scale: f64,
    pub batch: usize,
    pub steps: u64,
    pub rate: f64,
    /// Share of the scenes that are drawn as one object on a plain background: shapes are learned sooner there.
    pub plain: f64,
    /// Share of the scenes that are drawn as two objects on a plain background: the order of words is learned sooner there.
    pub pairs: f64,
}

const FORM: &str = "it is not SIZE:SCALE:BATCH:STEPS:LR[:PLAIN[:PAIRS]]";

impl Stage {
    /// Reads `SIZE:SCALE:BATCH:STEPS:LR[:PLAIN[:PAIRS]]`, the `index`-th of the configuration.
    ///
    /// # Errors
    /// `InvalidInput` naming the stage.
    pub fn parse(text: &str, index: usize) -> Result<Self> {
        let fault = |reason: &str| Error::input(format!("stages[{index}]"), format!("{text:?}: {reason}"));
        let fields: Vec<&str> = text.split(':').map(str::trim).collect();
        let [size, scale, batch, steps, rate, ref shares @ ..] = fields[..] else {
            return Err(fault(FORM));
        };
        let share = |i: usize| shares.get(i).map_or(Ok(0.0), |share| share.parse::<f64>());
        if shares.len() > 2 {
            return Err(fault(FORM));
        }
        let stage = Self {
            size: size.parse().map_err(|_| fault("SIZE is no count"))?,
            scale: scale.parse().map_err(|_| fault("SCALE is no number"))?,
            batch: batch.parse().map_err(|_| fault("BATCH is no count"))?,
            steps: steps.parse().map_err(|_| fault("STEPS is no count"))?,
            rate: rate.parse().map_err(|_| fault("LR is no number"))?,
            plain: share(0).map_err(|_| fault("PLAIN is no number"))?,
            pairs: share(1).map_err(|_| fault("PAIRS is no number"))?,
        };
        let counts = (1..=4096).contains(&stage.size) && (1..=65536).contains(&stage.batch) && stage.steps >= 1;
        let numbers = [stage.scale, stage.rate].iter().all(|v| v.is_finite() && *v > 0.0);
        let shares = [stage.plain, stage.pairs, stage.plain + stage.pairs].iter().all(|s| (0.0..=1.0).contains(s));
        if counts && numbers && shares { Ok(stage) } else { Err(fault("a value is zero or out of range")) }
    }
}
