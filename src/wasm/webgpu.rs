//! What the WebGPU module alone has: kernels to test and to time.

use wasm_bindgen::prelude::*;

use super::Engine;
use super::convert::{object, throw};
use super::model::Model;
use crate::kernels::webgpu::tune::{TuneOptions, Workload};
use crate::kernels::webgpu::{Precision, choose_as_on_gpu, self_test, use_reference};

#[wasm_bindgen]
extern "C" {
    /// Milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

#[wasm_bindgen]
impl Engine {
    /// The error of every kernel of our own, or of those whose names begin with `only`, against its reference: `{ name: error }`.
    #[wasm_bindgen(js_name = selfTest)]
    pub async fn self_test(&self, only: Option<String>) -> Result<JsValue, JsValue> {
        let errors = self_test(&self.device, &only.unwrap_or_default()).await.map_err(throw)?;
        object(&errors.iter().map(|(name, error)| (name.as_str(), (*error).into())).collect::<Vec<_>>())
    }

    /// Whether kernels that were not timed are from now on those that a GPU has, wherever this runs: for tests.
    #[wasm_bindgen(js_name = chooseAsOnGpu)]
    pub fn choose_as_on_gpu(&self, yes: bool) {
        choose_as_on_gpu(yes);
    }

    /// Whether networks are made of burn's own operations from now on, those that are loaded included: for comparison.
    #[wasm_bindgen(js_name = useReference)]
    pub fn use_reference(&self, reference: bool) {
        use_reference(reference);
    }
}

#[wasm_bindgen]
impl Model {
    /// Takes up to about `budget` milliseconds to find the fastest kernels for this model's matrices on this device: a line about
    /// each. Small models have nothing to choose. `precision` is `exact`, `half` (where absent) or `int8`; what `known`, the
    /// `timings` of an earlier session, has is not timed again.
    pub async fn tune(
        &self,
        budget: f64,
        precision: Option<String>,
        known: Option<String>,
    ) -> Result<Vec<String>, JsValue> {
        let precision = precision.map_or(Ok(Precision::default()), |name| name.parse()).map_err(throw)?;
        let known = known.unwrap_or_default();
        let options = TuneOptions { precision, known: &known, clock: &now, budget };
        let workload = self.workload();
        workload.tune(self.pipeline.device(), options).await.map_err(throw)?;
        Ok(workload.timings().0)
    }

    /// What `tune` knows of this model's kernels, as JSON, to be kept for its next session on this device.
    pub fn timings(&self) -> Result<String, JsValue> {
        Ok(self.workload().timings().1.to_string())
    }

    /// Of a step for a prompt and its opposite.
    fn workload(&self) -> Workload<'_> {
        self.pipeline.workload(2)
    }
}
