//! Which tokens every layer of a run kept: noted on the device at each step, read back once at the end.

use burn::tensor::{Int, Tensor};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::layer::Routed;

/// The kept tokens of an image's run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RoutingRecord {
    /// Rows and columns of tokens; token `i` is at row `i / columns`.
    pub grid: [usize; 2],
    pub steps: Vec<RoutedStep>,
}

/// One denoising step of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RoutedStep {
    pub timestep: f64,
    /// For each layer the kept tokens, ascending; null where the layer has no router and runs them all. Empty for a step that ran
    /// the part of the image alone that is inpainted.
    pub layers: Vec<Option<Vec<u32>>>,
}

/// The record of a run under way.
#[derive(Debug, Default)]
pub(super) struct Notes {
    steps: Vec<(f64, Vec<Option<Tensor<1, Int>>>)>,
}

impl Notes {
    /// Notes what the layers of a step chose for the last image of their batch, which under guidance is the prompt's.
    pub fn add(&mut self, timestep: f64, routed: Vec<Option<Routed>>) {
        let kept = |r: Routed| {
            let [batch, k] = r.index.dims();
            r.index.narrow(0, batch - 1, 1).reshape([k])
        };
        self.steps.push((timestep, routed.into_iter().map(|r| r.map(kept)).collect()));
    }

    /// Reads everything back at once.
    pub async fn read(&self, grid: [usize; 2]) -> Result<RoutingRecord> {
        let kept: Vec<Tensor<1, Int>> =
            self.steps.iter().flat_map(|(_, layers)| layers.iter().flatten().cloned()).collect();
        let mut all = Vec::new();
        if !kept.is_empty() {
            let lost = |e: &dyn std::fmt::Debug| Error::DeviceLost { reason: format!("{e:?}") };
            let data = Tensor::cat(kept, 0).into_data_async().await.map_err(|e| lost(&e))?;
            all = data.convert::<i32>().try_to_vec::<i32>().map_err(|e| lost(&e))?;
        }
        let mut all = all.into_iter().map(|i| i as u32);
        let steps = self.steps.iter().map(|(timestep, layers)| {
            let mut take = |kept: &Tensor<1, Int>| all.by_ref().take(kept.dims()[0]).collect();
            RoutedStep { timestep: *timestep, layers: layers.iter().map(|l| l.as_ref().map(&mut take)).collect() }
        });
        Ok(RoutingRecord { grid, steps: steps.collect() })
    }
}
