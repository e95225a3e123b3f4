//! The browser's shell: converts types between JavaScript and the pipeline, nothing else.
//!
//! The same exports in both builds, WebGPU and CPU. Everything thrown is an `Error` with the properties `code` and `details`.

pub mod convert;
#[cfg(not(feature = "webgpu"))]
mod cpu;
mod encoder;
mod loader;
mod model;
mod run;
mod text;
#[cfg(feature = "webgpu")]
mod webgpu;

use std::rc::Rc;

use burn::tensor::Device;
use wasm_bindgen::prelude::*;

use crate::bundle::{self, Manifest};
use crate::pipeline::Pipeline;
use crate::pipeline::info::ManifestSummary;
use crate::pipeline::residency::{TextEncoderMode, stays};
use convert::{from_js, throw, to_js};
use loader::Loader;
use model::Model;

unsafe extern "C" {
    /// The linker's: runs the static constructors, by which cubecl registers its operations.
    ///
    /// A module that never names it gets every export wrapped in a call of it, which took longer than all else a step does here.
    fn __wasm_call_ctors();
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
    /// `device` is a `GPUDevice` of the page's to compute on; left out, the module asks for one of its own, of the adapter that WebGPU's
    /// `power_preference`, `low-power` or `high-performance`, finds.
    pub async fn create(device: JsValue, power_preference: Option<String>) -> Result<Engine, JsValue> {
        let page = Some(device).filter(|device| !device.is_undefined() && !device.is_null());
        let low_power = power_preference.as_deref() == Some("low-power");
        Ok(Self { device: crate::device::open(page, low_power).await.map_err(throw)? })
    }

    /// What the device can do.
    pub fn profile(&self) -> Result<JsValue, JsValue> {
        to_js(&crate::device::profile(&self.device))
    }

    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        crate::device::Backend::COMPILED_IN.name().into()
    }

    /// Of the package.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    /// Checks `diffcr.json` and says what it holds.
    pub fn manifest(&self, json: &str) -> Result<JsValue, JsValue> {
        let manifest = Manifest::parse(json).map_err(throw)?;
        to_js(&ManifestSummary::from(&manifest))
    }

    /// Takes a bundle in, without what comes and goes: the text encoder where it is to pass by (`auto`, `resident` or `streamed`), and the
    /// half of a large autoencoder that reads pictures.
    pub fn loader(&self, json: &str, text_encoder: Option<String>) -> Result<Loader, JsValue> {
        let manifest = Manifest::parse(json).map_err(throw)?;
        let mode = match text_encoder {
            Some(mode) => from_js::<TextEncoderMode>(mode.into())?,
            None => TextEncoderMode::default(),
        };
        let backend = crate::device::profile(&self.device).backend;
        let all = manifest.clone();
        let wanted = |section| stays(section, &all, backend, mode);
        let inner = bundle::Loader::with_sections(manifest, &self.device, wanted).map_err(throw)?;
        Ok(Loader { inner })
    }
}

#[wasm_bindgen]
impl Loader {
    /// The model of a bundle that has come whole.
    pub fn finish(self) -> Result<Model, JsValue> {
        let pipeline = self.inner.finish().and_then(Pipeline::new).map_err(throw)?;
        Ok(Model { pipeline: Rc::new(pipeline) })
    }
}
