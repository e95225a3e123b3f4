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
}

impl Stage {
    /// Reads `SIZE:SCALE:BATCH:STEPS:LR[:PLAIN]`, the `index`-th of the configuration.
    ///
    /// # Errors
    /// `InvalidInput` naming the stage.
    pub fn parse(text: &str, index: usize) -> Result<Self> {
        let fault = |reason: &str| Error::input(format!("stages[{index}]"), format!("{text:?}: {reason}"));
        let fields: Vec<&str> = text.split(':').map(str::trim).collect();
        let (size, scale, batch, steps, rate, plain) = match fields.as_slice() {
            [size, scale, batch, steps, rate] => (size, scale, batch, steps, rate, "0"),
            [size, scale, batch, steps, rate, plain] => (size, scale, batch, steps, rate, *plain),
            _ => return Err(fault("it is not SIZE:SCALE:BATCH:STEPS:LR[:PLAIN]")),
        };
        let stage = Self {
            size: size.parse().map_err(|_| fault("SIZE is no count"))?,
            scale: scale.parse().map_err(|_| fault("SCALE is no number"))?,
            batch: batch.parse().map_err(|_| fault("BATCH is no count"))?,
            steps: steps.parse().map_err(|_| fault("STEPS is no count"))?,
            rate: rate.parse().map_err(|_| fault("LR is no number"))?,
            plain: plain.parse().map_err(|_| fault("PLAIN is no number"))?,
        };
        let counts = (1..=4096).contains(&stage.size) && (1..=65536).contains(&stage.batch) && stage.steps >= 1;
        let numbers = [stage.scale, stage.rate].iter().all(|v| v.is_finite() && *v > 0.0);
        if counts && numbers && (0.0..=1.0).contains(&stage.plain) {
            Ok(stage)
        } else {
            Err(fault("a value is zero or out of range"))
        }
    }
}
