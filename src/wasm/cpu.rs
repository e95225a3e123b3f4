//! What the CPU module answers where the WebGPU one times its kernels: it has nothing to choose.

use wasm_bindgen::prelude::*;

use super::model::Model;

#[wasm_bindgen]
impl Model {
    /// No lines.
    pub async fn tune(
        &self,
        _budget: f64,
        _precision: Option<String>,
        _known: Option<String>,
    ) -> Result<Vec<String>, JsValue> {
        Ok(Vec::new())
    }

    /// Nothing to keep.
    pub fn timings(&self) -> Result<String, JsValue> {
        Ok("{}".into())
    }
}
