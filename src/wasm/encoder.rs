//! The half of a large autoencoder that reads pictures, which is there while it reads one.

use wasm_bindgen::prelude::*;

use super::convert::throw;
use super::loader::Loader;
use super::model::Model;

#[wasm_bindgen]
impl Model {
    /// What takes that half in, where a run that edits an image, or not, needs it and it is not loaded.
    #[wasm_bindgen(js_name = encoderLoader)]
    pub fn encoder_loader(&self, edits: bool) -> Result<Option<Loader>, JsValue> {
        if !(edits || self.pipeline.takes_mask()) || !self.pipeline.lacks_encoder() {
            return Ok(None);
        }
        Ok(Some(Loader { inner: self.pipeline.encoder_loader().map_err(throw)? }))
    }

    /// Has it here, until `dropEncoder`.
    #[wasm_bindgen(js_name = takeEncoder)]
    pub fn take_encoder(&self, loader: Loader) -> Result<(), JsValue> {
        loader.inner.finish().and_then(|loaded| self.pipeline.take_encoder(loaded)).map_err(throw)
    }

    #[wasm_bindgen(js_name = dropEncoder)]
    pub fn drop_encoder(&self) {
        self.pipeline.drop_encoder();
    }
}
