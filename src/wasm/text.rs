//! Prompts that a text encoder reads as it passes by, and those that are known already.

use js_sys::{Array, Uint16Array, Uint32Array};
use wasm_bindgen::prelude::*;

use super::convert::{from_js, object, throw, to_js};
use super::model::Model;
use crate::bundle::prompts::PromptStates;
use crate::model::text_stream::TextEncoderStream;
use crate::pipeline::GenerateOptions;
use crate::pipeline::read_back::read_back;

/// A text encoder on its way past some prompts.
#[wasm_bindgen]
pub struct TextStream {
    inner: TextEncoderStream,
    prompts: Vec<Vec<u32>>,
}

#[wasm_bindgen]
impl Model {
    /// Token ids of the prompts of a run that only the text encoder can read.
    #[wasm_bindgen(js_name = unknownPrompts)]
    pub fn unknown_prompts(&self, options: JsValue) -> Result<Vec<Uint32Array>, JsValue> {
        let options: GenerateOptions = from_js(options)?;
        let unknown = self.pipeline.unknown_prompts(&options).map_err(throw)?;
        Ok(unknown.iter().map(|ids| Uint32Array::from(&ids[..])).collect())
    }

    /// The text encoder, which is to read `prompts`.
    #[wasm_bindgen(js_name = textStream)]
    pub fn text_stream(&self, prompts: Vec<Uint32Array>) -> Result<TextStream, JsValue> {
        let prompts: Vec<Vec<u32>> = prompts.iter().map(Uint32Array::to_vec).collect();
        Ok(TextStream { inner: self.pipeline.text_stream(prompts.clone()).map_err(throw)?, prompts })
    }

    /// What the text encoder made of a prompt once: f16 bits, row-major.
    #[wasm_bindgen(js_name = rememberPrompt)]
    pub fn remember_prompt(&self, ids: &[u32], states: &[u16]) -> Result<(), JsValue> {
        let prompt = PromptStates { ids: ids.to_vec(), states: states.to_vec() };
        self.pipeline.remember_prompt(prompt).map_err(throw)
    }

    /// Changes with the text encoder's files; none where the bundle has none.
    #[wasm_bindgen(getter, js_name = textEncoderVersion)]
    pub fn text_encoder_version(&self) -> Option<String> {
        self.pipeline.manifest().text_encoder_version()
    }
}

#[wasm_bindgen]
impl TextStream {
    /// Its files, in the order in which they serve.
    pub fn files(&self) -> Result<JsValue, JsValue> {
        to_js(&self.inner.files())
    }

    /// Runs the layers that are whole with this file, and waits for them. `hashed`: the caller has compared its hash with the manifest's.
    #[wasm_bindgen(js_name = addFile)]
    pub async fn add_file(&mut self, path: String, bytes: Vec<u8>, hashed: bool) -> Result<(), JsValue> {
        let ran = self.inner.add_file(&path, bytes, hashed).map_err(throw)?;
        if let Some(last) = self.inner.last().filter(|_| ran > 0) {
            read_back(last).await.map_err(throw)?;
        }
        Ok(())
    }

    /// What came of every prompt: `{ ids, states }[]`, the states as f16 bits.
    pub async fn finish(self) -> Result<Array, JsValue> {
        let known = Array::new();
        for (ids, states) in self.prompts.into_iter().zip(self.inner.finish().map_err(throw)?) {
            let values = read_back(states).await.map_err(throw)?;
            let PromptStates { ids, states } = PromptStates::rounded(ids, &values).map_err(throw)?;
            let entries =
                [("ids", Uint32Array::from(&ids[..]).into()), ("states", Uint16Array::from(&states[..]).into())];
            known.push(&object(&entries)?);
        }
        Ok(known)
    }
}
