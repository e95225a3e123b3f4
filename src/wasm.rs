//! The browser's shell: converts types between JavaScript and the pipeline, nothing else.
//!
//! The same exports in both builds, WebGPU and CPU. Everything thrown is an `Error` with the properties `code` and `details`.

use std::rc::Rc;

use burn::tensor::Device;
use js_sys::{Float32Array, Int32Array, Object, Reflect, Uint8Array, Uint8ClampedArray};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use wasm_bindgen::prelude::*;

use crate::bundle::{self, Manifest};
use crate::error::{Error, Result};
use crate::model::ratios::Compression;
use crate::pipeline::image::Image;
use crate::pipeline::options::Values;
use crate::pipeline::picture::Picture;
use crate::pipeline::probe::{Inputs, Output, Part};
use crate::pipeline::{self, GenerateOptions, InpaintOptions, Pipeline};

unsafe extern "C" {
    /// The linker's: runs the static constructors, by which cubecl registers its operations.
    ///
    /// A module that never names it gets every export wrapped in a call of it, which took longer than all else a step does here.
    fn __wasm_call_ctors();
}

#[cfg(feature = "webgpu")]
#[wasm_bindgen]
extern "C" {
    /// Milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// Panics and log lines go to the console: an invalid shader, which the browser only reports there, must be seen.
#[wasm_bindgen(start)]
fn start() {
    // SAFETY: this is the module's first code to run, and runs once.
    unsafe { __wasm_call_ctors() };
    console_error_panic_hook::set_once();
    let _ = console_log::init_with_level(log::Level::Warn);
}

/// The backend compiled in, with its device acquired.
#[wasm_bindgen]
pub struct Engine {
    device: Device,
}

#[wasm_bindgen]
impl Engine {
    pub async fn create() -> Result<Engine, JsValue> {
        Ok(Self { device: device().await.map_err(throw)? })
    }

    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        BACKEND.into()
    }

    /// Of the package.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    /// Checks `diffcr.json` and says what it holds.
    pub fn manifest(&self, json: &str) -> Result<JsValue, JsValue> {
        let manifest = Manifest::parse(json).map_err(throw)?;
        to_js(&json!({
            "name": manifest.name,
            "version": manifest.version,
            "totalBytes": manifest.total_bytes(),
            "files": manifest.files,
            "parts": manifest.parts,
            "routing": manifest.routing,
        }))
    }

    /// The error of every kernel of our own, or of those whose names begin with `only`, against plain tensor operations:
    /// `{ name: error }`.
    #[cfg(feature = "webgpu")]
    #[wasm_bindgen(js_name = selfTest)]
    pub async fn self_test(&self, only: Option<String>) -> Result<JsValue, JsValue> {
        let errors = crate::kernels::webgpu::self_test(&self.device, &only.unwrap_or_default()).await.map_err(throw)?;
        object(&errors.iter().map(|(name, error)| (name.as_str(), (*error).into())).collect::<Vec<_>>())
    }

    /// Whether networks are made of burn's own operations from now on, those that are loaded included: for comparison.
    #[cfg(feature = "webgpu")]
    #[wasm_bindgen(js_name = usePlain)]
    pub fn use_plain(&self, plain: bool) {
        crate::kernels::webgpu::use_plain(plain);
    }

    pub fn loader(&self, json: &str) -> Result<Loader, JsValue> {
        let loader = Manifest::parse(json).and_then(|m| bundle::Loader::new(m, &self.device));
        Ok(Loader { inner: loader.map_err(throw)? })
    }
}

/// A bundle on its way in.
#[wasm_bindgen]
pub struct Loader {
    inner: bundle::Loader,
}

#[wasm_bindgen]
impl Loader {
    #[wasm_bindgen(js_name = addFile)]
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), JsValue> {
        self.inner.add_file(path, bytes).map_err(throw)
    }

    pub fn finish(self) -> Result<Model, JsValue> {
        let pipeline = self.inner.finish().and_then(Pipeline::new).map_err(throw)?;
        Ok(Model { pipeline: Rc::new(pipeline) })
    }
}

/// A loaded bundle.
#[wasm_bindgen]
pub struct Model {
    pipeline: Rc<Pipeline>,
}

#[wasm_bindgen]
impl Model {
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let pipeline = &self.pipeline;
        let manifest = pipeline.manifest();
        let transformer = &manifest.parts.transformer;
        let side = pipeline.default_side();
        let grid = transformer.sample_size / transformer.patch_size;
        to_js(&json!({
            "name": manifest.name,
            "version": manifest.version,
            "width": side,
            "height": side,
            "sideMultiple": pipeline.side_multiple(),
            "pixelScale": pipeline.pixel_scale(),
            "latentChannels": pipeline.latent_channels(),
            "defaultSolver": manifest.parts.scheduler.solver,
            "layers": transformer.layers,
            "tokens": grid * grid,
            "parts": manifest.parts,
            "routing": manifest.routing,
        }))
    }

    /// Takes up to about `budget` milliseconds to find the fastest kernels for this model's matrices on this device: a line about
    /// each. Small models and the CPU have nothing to choose. `precision` is `exact`, `half` (where absent) or `int8`; what `known`,
    /// the `timings` of an earlier session, has is not timed again.
    pub async fn tune(
        &self,
        budget: f64,
        precision: Option<String>,
        known: Option<String>,
    ) -> Result<Vec<String>, JsValue> {
        #[cfg(feature = "webgpu")]
        {
            use crate::kernels::webgpu::Precision;
            let precision = precision.map_or(Ok(Precision::default()), |name| name.parse()).map_err(throw)?;
            let (workload, known) = (self.workload(), known.unwrap_or_default());
            workload.tune(precision, &known, self.pipeline.device(), &now, budget).await.map_err(throw)?;
            return Ok(workload.timings().0);
        }
        #[cfg(not(feature = "webgpu"))]
        {
            let _ = (budget, precision, known);
            Ok(Vec::new())
        }
    }

    /// What `tune` knows of this model's kernels, as JSON, to be kept for its next session on this device.
    pub fn timings(&self) -> Result<String, JsValue> {
        #[cfg(feature = "webgpu")]
        let timings = self.workload().timings().1;
        #[cfg(not(feature = "webgpu"))]
        let timings = json!({});
        Ok(timings.to_string())
    }

    /// Of a step for a prompt and its opposite.
    #[cfg(feature = "webgpu")]
    fn workload(&self) -> crate::kernels::webgpu::Workload<'_> {
        self.pipeline.workload(2)
    }

    /// Checks the options and encodes the prompts.
    pub async fn generate(&self, options: JsValue) -> Result<Run, JsValue> {
        let options: GenerateOptions = from_js(options)?;
        let inner = pipeline::Run::new(self.pipeline.clone(), &options).map_err(throw)?;
        Ok(Run { inner })
    }

    /// As `generate`, with `image` and `mask` (`{ width, height, data }` of RGBA, or values `{ shape, data }`), `strength`,
    /// `maskAware`, `cropToMask` and `feather`.
    pub async fn inpaint(&self, options: JsValue) -> Result<Run, JsValue> {
        let rest = Object::assign(&Object::new(), &Object::from(options));
        let image = picture(take(&rest, "image")?, "image")?;
        let mask = picture(take(&rest, "mask")?, "mask")?;
        let how = Object::new();
        for key in ["strength", "maskAware", "cropToMask", "feather"] {
            let value = take(&rest, key)?;
            if !value.is_undefined() {
                Reflect::set(&how, &key.into(), &value)?;
            }
        }
        let options = InpaintOptions { generate: from_js(rest.into())?, image, mask, how: from_js(how.into())? };
        Ok(Run { inner: pipeline::Run::inpaint(self.pipeline.clone(), &options).map_err(throw)? })
    }
}

#[wasm_bindgen]
impl Model {
    /// Runs one part on `{ name: { shape, data } }`, for comparison with other implementations.
    pub async fn probe(&self, part: JsValue, inputs: JsValue, options: JsValue) -> Result<JsValue, JsValue> {
        #[derive(serde::Deserialize, Default)]
        #[serde(default, deny_unknown_fields)]
        struct Options {
            compression: Compression,
            tiny: bool,
        }
        let (part, inputs, options): (Part, Inputs, Options) = (from_js(part)?, from_js(inputs)?, from_js(options)?);
        let outputs = self.pipeline.probe(part, &inputs, &options.compression, options.tiny).await.map_err(throw)?;
        let entries = outputs.iter().map(|(name, output)| {
            let value = match output {
                Output::Float(values) => values_to_js(values)?,
                Output::Int { shape, data } => {
                    object(&[("shape", to_js(shape)?), ("data", Int32Array::from(&data[..]).into())])?
                }
            };
            Ok((name.as_str(), value))
        });
        object(&entries.collect::<Result<Vec<_>, JsValue>>()?)
    }
}

/// One image on its way.
#[wasm_bindgen]
pub struct Run {
    inner: pipeline::Run,
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

    /// One denoising step, waited for; undefined once all are done.
    pub async fn step(&mut self) -> Result<JsValue, JsValue> {
        let Some(report) = self.inner.step().map_err(throw)? else { return Ok(JsValue::UNDEFINED) };
        self.inner.wait().await.map_err(throw)?;
        to_js(&json!({ "step": report.step, "total": report.total, "timestep": report.timestep }))
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

#[cfg(feature = "webgpu")]
const BACKEND: &str = "webgpu";
#[cfg(not(feature = "webgpu"))]
const BACKEND: &str = "cpu";

#[cfg(feature = "webgpu")]
async fn device() -> Result<Device> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).unwrap_or(JsValue::UNDEFINED);
    let gpu = Reflect::get(&navigator, &"gpu".into()).unwrap_or(JsValue::UNDEFINED);
    if gpu.is_undefined() || gpu.is_null() {
        return Err(Error::WebgpuUnavailable { reason: "this browser has no `navigator.gpu` here".into() });
    }
    crate::device::webgpu().await
}

#[cfg(not(feature = "webgpu"))]
async fn device() -> Result<Device> {
    Ok(crate::device::cpu())
}

fn throw(error: Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    let details = to_js(&error.details()).unwrap_or(JsValue::UNDEFINED);
    for (key, value) in [("code", JsValue::from_str(error.code())), ("details", details)] {
        let _ = Reflect::set(&thrown, &key.into(), &value);
    }
    thrown.into()
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| throw(Error::internal(e.to_string())))
}

/// Reads an options object; the path of the property at fault is the error's field.
fn from_js<T: DeserializeOwned>(value: JsValue) -> Result<T, JsValue> {
    serde_path_to_error::deserialize(serde_wasm_bindgen::Deserializer::from(value))
        .map_err(|e| throw(Error::input(e.path().to_string(), e.inner().to_string())))
}

fn object(entries: &[(&str, JsValue)]) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (key, value) in entries {
        Reflect::set(&object, &(*key).into(), value)?;
    }
    Ok(object.into())
}

/// A property, which the object then no longer has.
fn take(object: &Object, key: &str) -> Result<JsValue, JsValue> {
    let value = Reflect::get(object, &key.into())?;
    Reflect::delete_property(object, &key.into())?;
    Ok(value)
}

/// Reads `{ width, height, data }` of RGBA bytes, or values `{ shape, data }`.
fn picture(value: JsValue, field: &str) -> Result<Picture, JsValue> {
    let fault = |reason: &str| throw(Error::input(field, reason));
    if !value.is_object() {
        return Err(fault("it is missing"));
    }
    if Reflect::has(&value, &"shape".into())? {
        return from_js(value).map(Picture::Values);
    }
    let side = |key: &str| {
        let number = Reflect::get(&value, &key.into())?.as_f64().filter(|v| v.fract() == 0.0 && (0.0..1e9).contains(v));
        number.map(|v| v as usize).ok_or_else(|| fault(&format!("its {key} is not a whole number")))
    };
    let (width, height) = (side("width")?, side("height")?);
    let data = Reflect::get(&value, &"data".into())?;
    let data = match (data.dyn_ref::<Uint8ClampedArray>(), data.dyn_ref::<Uint8Array>()) {
        (Some(data), _) => data.to_vec(),
        (_, Some(data)) => data.to_vec(),
        _ => return Err(fault("its data are not bytes")),
    };
    Ok(Picture::Bytes(Image { width, height, data }))
}

fn image_to_js(image: &Image) -> Result<JsValue, JsValue> {
    let data = Uint8ClampedArray::from(&image.data[..]);
    object(&[("width", image.width.into()), ("height", image.height.into()), ("data", data.into())])
}

fn values_to_js(values: &Values) -> Result<JsValue, JsValue> {
    object(&[("shape", to_js(&values.shape)?), ("data", Float32Array::from(&values.data[..]).into())])
}
