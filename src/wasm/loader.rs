//! A bundle on its way in, whole or a section of it, as JavaScript hands over its files.

use wasm_bindgen::prelude::*;

use super::convert::{throw, to_js};
use crate::bundle;

/// A bundle on its way in, or what of it comes and goes.
#[wasm_bindgen]
pub struct Loader {
    pub(super) inner: bundle::Loader,
}

#[wasm_bindgen]
impl Loader {
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
