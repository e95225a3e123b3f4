//! One image on its way, as JavaScript pulls it.

use wasm_bindgen::prelude::*;

use super::convert::{image_to_js, object, throw, to_js, values_to_js};
use crate::pipeline;

/// One image on its way.
#[wasm_bindgen]
pub struct Run {
    pub(super) inner: pipeline::Run,
}

#[wasm_bindgen]
impl Run {
    #[wasm_bindgen(getter)]
    pub fn total(&self) -> usize {
        self.inner.total()
    }

    /// What the run does, defaults filled in.
    #[wasm_bindgen(getter)]
    pub fn settings(&self) -> Result<JsValue, JsValue> {
        to_js(self.inner.settings())
    }

    /// What of the request was left out: `{ code, field, message, lost, limit }[]`.
    #[wasm_bindgen(getter)]
    pub fn warnings(&self) -> Result<JsValue, JsValue> {
        to_js(&self.inner.warnings())
    }

    /// Operations of the denoising network in the whole run, and of a dense one: `{ total, dense }`.
    #[wasm_bindgen(getter)]
    pub fn flops(&self) -> Result<JsValue, JsValue> {
        let (run, dense) = self.inner.flops();
        object(&[("total", (run.total() as f64).into()), ("dense", (dense.total() as f64).into())])
    }

    /// One denoising step, waited for; undefined once all are done.
    pub async fn step(&mut self) -> Result<JsValue, JsValue> {
        let Some(report) = self.inner.step().map_err(throw)? else { return Ok(JsValue::UNDEFINED) };
        self.inner.wait().await.map_err(throw)?;
        to_js(&report)
    }

    pub async fn preview(&self) -> Result<JsValue, JsValue> {
        image_to_js(&self.inner.preview().await.map_err(throw)?)
    }

    pub async fn finish(&self) -> Result<JsValue, JsValue> {
        let output = self.inner.finish().await.map_err(throw)?;
        let mut entries = vec![("image", image_to_js(&output.image)?), ("latents", values_to_js(&output.latents)?)];
        if let Some(composite) = &output.composite {
            entries.extend([("decoded", values_to_js(&output.pixels)?), ("composite", values_to_js(composite)?)]);
        }
        if let Some(routing) = &output.routing {
            entries.push(("routing", to_js(routing)?));
        }
        object(&entries)
    }
}
