//! What a run learns: a loss over batches, and what surrounds it. The loop ([`super::run`]) knows no more of a model than this.

use std::sync::OnceLock;

use super::controller::Controller;
use super::parameters::Parameters;
use super::progress::Worth;
use super::stage::Stage;
use super::step::{Outcome, Workers};
use crate::convert::progress::Progress;
use crate::data::{Batch, Source};
use crate::error::Result;

/// Where a run is.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub stage: Stage,
    /// Steps done in all.
    pub step: u64,
    /// Their share of the run.
    pub done: f64,
    /// λ as it is.
    pub controller: Controller,
}

/// Streams of the run's seed for noise, a thousand a step.
const NOISE: u64 = 1 << 48;
const NOISE_OF_STEP: u64 = 1 << 16;

impl Moment {
    /// The stream of the run's seed from which the noise of micro-batch `part` comes.
    pub fn noise_stream(&self, part: usize) -> u64 {
        NOISE + self.step * NOISE_OF_STEP + part as u64
    }
}

/// What `slot` holds, made when it is first asked for.
///
/// # Errors
/// Those of `make`; then the slot stays empty.
pub(super) fn once<T>(slot: &OnceLock<Option<T>>, make: impl FnOnce() -> Result<Option<T>>) -> Result<Option<&T>> {
    if let Some(value) = slot.get() {
        return Ok(value.as_ref());
    }
    let value = make()?;
    Ok(slot.get_or_init(|| value).as_ref())
}

/// What a finished run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub name: String,
    pub version: Option<String>,
    pub bytes: u64,
}

pub trait Objective {
    /// Pixels that a picture's side must be a multiple of.
    fn granularity(&self) -> usize;

    /// A stage's settings take effect.
    fn enter(&mut self, stage: &Stage);

    /// Pictures as this learns from them, from pictures as they are drawn or read.
    ///
    /// # Errors
    /// `Internal` where what prepares them cannot be started.
    fn prepare(&self, source: Box<dyn Source>) -> Result<Box<dyn Source>>;

    /// The loss of a batch and its gradient at `trained`.
    ///
    /// # Errors
    /// What goes wrong in the graph.
    fn step(&self, workers: &Workers, trained: &Parameters, batch: Batch, at: &Moment) -> Result<Outcome>;

    /// Brings parameters that an update moved back to where they may be.
    fn constrain(&self, _: &mut Parameters) {}

    /// The mean keep ratio asked for at a share `done` of the run; 1 without routers.
    fn target(&self, _done: f64) -> f64 {
        1.0
    }

    /// The mean keep ratio; 1 without routers.
    fn mean_keep(&self, _: &Parameters) -> f64 {
        1.0
    }

    /// The learned keep ratios, `[regions][layers]`.
    fn keep_table(&self, _: &Parameters) -> Option<Vec<Vec<f64>>> {
        None
    }

    /// What the weights and their average are worth on pictures that are not trained on; none without such pictures. Nothing of
    /// the run depends on it.
    ///
    /// # Errors
    /// What goes wrong in the graph.
    fn validate(&self, _: &Workers, _trained: &Parameters, _average: &Parameters) -> Result<Option<Worth>> {
        Ok(None)
    }

    /// Draws what `config.progress.prompts` asks for with the average, and leaves a sheet beside the checkpoint of `step`.
    ///
    /// # Errors
    /// `Io` naming a file, and the pipeline's.
    fn sample(&self, _average: &Parameters, _step: u64) -> Result<()> {
        Ok(())
    }

    /// Writes what `config.out` names.
    ///
    /// # Errors
    /// `Io` naming a file, and the converter's.
    fn export(&self, average: &Parameters, progress: &mut dyn Progress) -> Result<Exported>;
}
