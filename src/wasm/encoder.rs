//! The half of a large autoencoder that reads pictures, which is there while it reads one.

use wasm_bindgen::prelude::*;

use super::convert::{throw, to_js};
use super::model::Model;
use crate::bundle;

/// That half on its way in.
#[wasm_bindgen]
pub struct EncoderLoader {
    inner: bundle::Loader,
}

#[wasm_bindgen]
impl EncoderLoader {
    /// The files that it waits for.
    pub fn files(&self) -> Result<JsValue, JsValue> {
        let files = self.inner.pending().map(|path| self.inner.entry(path)).collect::<Result<Vec<_>, _>>();
        to_js(&files.map_err(throw)?)
    }

    /// `hashed`: the caller has compared the file's hash with the manifest's.
    #[wasm_bindgen(js_name = addFile)]
    pub fn add_file(&mut self, path: &str, bytes: &[u8], hashed: bool) -> Result<(), JsValue> {
        let added = if hashed { self.inner.add_hashed(path, bytes) } else { self.inner.add_file(path, bytes) };
        added.map_err(throw)
    }
}

#[wasm_bindgen]
impl Model {
    /// What takes that half in, where a run that edits an image, or not, needs it and it is not loaded.
    #[wasm_bindgen(js_name = encoderLoader)]
    pub fn encoder_loader(&self, edits: bool) -> Result<Option<EncoderLoader>, JsValue> {
        if !(edits || self.pipeline.takes_mask()) || !self.pipeline.lacks_encoder() {
            return Ok(None);
        }
        Ok(Some(EncoderLoader { inner: self.pipeline.encoder_loader().map_err(throw)? }))
    }

    /// Has it here, until `dropEncoder`.
    #[wasm_bindgen(js_name = takeEncoder)]
    pub fn take_encoder(&self, loader: EncoderLoader) -> Result<(), JsValue> {
        loader.inner.finish().and_then(|loaded| self.pipeline.take_encoder(loaded)).map_err(throw)
    }

    #[wasm_bindgen(js_name = dropEncoder)]
    pub fn drop_encoder(&self) {
        self.pipeline.drop_encoder();
    }
}
