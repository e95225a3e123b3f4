//! A loaded bundle, as JavaScript sees it.

use std::rc::Rc;

use js_sys::{Int32Array, Object};
use wasm_bindgen::prelude::*;

use super::convert::{from_js, object, picture, take, throw, to_js, values_to_js};
use super::run::Run;
use crate::model::ratios::Compression;
use crate::pipeline::probe::{Inputs, Part, ProbeOutput};
use crate::pipeline::{self, EditOptions, GenerateOptions, Pipeline};

/// A loaded bundle.
#[wasm_bindgen]
pub struct Model {
    pub(super) pipeline: Rc<Pipeline>,
}

#[wasm_bindgen]
impl Model {
    pub fn info(&self) -> Result<JsValue, JsValue> {
        to_js(&self.pipeline.info())
    }

    /// Checks the options and encodes the prompts; where there is an `edit`, that image is redrawn: `{ image, mask, strength?, maskAware?,
    /// cropToMask?, feather? }`, `image` and `mask` being `{ width, height, data }` of RGBA or values `{ shape, data }`.
    pub async fn generate(&self, options: JsValue, edit: JsValue) -> Result<Run, JsValue> {
        let options: GenerateOptions = from_js(options)?;
        let edit = if edit.is_object() { Some(edit_options(edit)?) } else { None };
        let inner = pipeline::Run::new(self.pipeline.clone(), &options, edit.as_ref()).map_err(throw)?;
        Ok(Run { inner })
    }

    /// Runs one part on `{ name: { shape, data } }`, for comparison with other implementations.
    pub async fn probe(&self, part: JsValue, inputs: JsValue, options: JsValue) -> Result<JsValue, JsValue> {
        #[derive(serde::Deserialize, Default)]
        #[serde(default, deny_unknown_fields)]
        struct ProbeOptions {
            compression: Compression,
            tiny: bool,
        }
        let (part, inputs, options): (Part, Inputs, ProbeOptions) =
            (from_js(part)?, from_js(inputs)?, from_js(options)?);
        let outputs = self.pipeline.probe(part, &inputs, &options.compression, options.tiny).await.map_err(throw)?;
        let entries = outputs.iter().map(|(name, output)| {
            let value = match output {
                ProbeOutput::Float(values) => values_to_js(values)?,
                ProbeOutput::Int { shape, data } => {
                    object(&[("shape", to_js(shape)?), ("data", Int32Array::from(&data[..]).into())])?
                }
            };
            Ok((name.as_str(), value))
        });
        object(&entries.collect::<Result<Vec<_>, JsValue>>()?)
    }
}

fn edit_options(edit: JsValue) -> Result<EditOptions, JsValue> {
    let how = Object::assign(&Object::new(), &Object::from(edit));
    let image = picture(take(&how, "image")?, "image")?;
    let mask = picture(take(&how, "mask")?, "mask")?;
    Ok(EditOptions { image, mask, how: from_js(how.into())? })
}
