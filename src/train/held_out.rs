//! Pictures that a run does not train on, drawn when they are first asked for.

use std::sync::OnceLock;

use super::config::TrainConfig;
use super::objective::once;
use super::source;
use crate::data::Batch;
use crate::error::Result;

/// As many as the run asks for, of the size of its last stage.
#[derive(Debug)]
pub struct HeldOut<'a> {
    config: &'a TrainConfig,
    size: usize,
    drawn: OnceLock<Option<Batch>>,
}

impl<'a> HeldOut<'a> {
    /// # Errors
    /// `InvalidInput` on the stages.
    pub fn new(config: &'a TrainConfig) -> Result<Self> {
        let size = config.stages()?.last().map_or(0, |s| s.size);
        Ok(Self { config, size, drawn: OnceLock::new() })
    }

    /// None where the run asks for none.
    ///
    /// # Errors
    /// Those of the source.
    pub fn pictures(&self) -> Result<Option<&Batch>> {
        once(&self.drawn, || {
            let pictures = source::held_out(self.config)?;
            pictures.map(|mut source| source.batch(self.config.progress.held_out, self.size)).transpose()
        })
    }
}
