//! Finds what a device does fastest by timing it on a model's own work.

mod attention;
mod block;
mod conv;
mod matmul;
mod norm;
mod tuner;

use burn::tensor::Device;
use serde_json::{Map, Value, json};

pub use attention::SelfAttention;
pub use block::BlockTunable;
pub use conv::Convolution;
pub use matmul::Product;
pub use norm::Norms;
use tuner::{Tunable, Tuner, keys};

use super::choices::{self, Precision, Timing, TuneKey};
use crate::device::profile;
use crate::error::Result;

/// What a model does, one of each kind.
#[derive(Default)]
pub struct Workload<'a> {
    pub products: Vec<Product<'a>>,
    pub attention: Vec<SelfAttention>,
    pub norms: Vec<Norms>,
    pub convolutions: Vec<Convolution<'a>>,
    /// Of a block: timed with what was chosen for the others.
    pub blocks: Vec<BlockTunable<'a>>,
}

/// How a workload is timed.
pub struct TuneOptions<'a> {
    pub precision: Precision,
    /// The JSON of earlier timings. What it has is taken as it is, unless this device or the precision rules it out.
    pub known: &'a str,
    /// In milliseconds.
    pub clock: &'a dyn Fn() -> f64,
    /// Milliseconds of it that timing may take.
    pub budget: f64,
}

impl Workload<'_> {
    /// Times the variants of each thing that is worth it, until the budget is used up, and keeps the fastest for what is of its key.
    /// What was found in another precision is forgotten.
    ///
    /// # Errors
    /// `DeviceLost` where the device does not answer.
    pub async fn tune(&self, device: &Device, options: TuneOptions<'_>) -> Result<()> {
        let TuneOptions { precision, known, clock, budget } = options;
        choices::begin(precision);
        let tuner = Tuner {
            known: serde_json::from_str(known).unwrap_or_default(),
            terms: precision.terms(&profile(device)),
            device,
            clock,
            end: clock() + budget,
        };
        tuner.adopt(&self.products);
        tuner.adopt(&self.attention);
        tuner.adopt(&self.norms);
        tuner.adopt(&self.convolutions);
        tuner.adopt(&self.blocks);
        tuner.run(&self.products).await?;
        tuner.run(&self.attention).await?;
        tuner.run(&self.norms).await?;
        tuner.run(&self.blocks).await?;
        tuner.run(&self.convolutions).await
    }

    /// What is known of it, as lines to read and as JSON to keep.
    pub fn timings(&self) -> (Vec<String>, Value) {
        let (mut lines, mut kinds) = (Vec::new(), Map::new());
        list(&self.products, &mut lines, &mut kinds);
        list(&self.attention, &mut lines, &mut kinds);
        list(&self.norms, &mut lines, &mut kinds);
        list(&self.convolutions, &mut lines, &mut kinds);
        list(&self.blocks, &mut lines, &mut kinds);
        (lines, kinds.into())
    }
}

fn list<T: Tunable>(tunables: &[T], lines: &mut Vec<String>, kinds: &mut Map<String, Value>) {
    let found = choices::found(&keys(tunables));
    if !found.is_empty() {
        lines.extend(found.iter().map(Timing::line));
        kinds.insert(T::Key::KIND.into(), json!(found));
    }
}
