//! Where tensors live: WebGPU of our own, WebGPU through Vulkan, or the CPU.

use burn::tensor::{Device, TensorData};

use crate::error::Result;

/// The backends a caller can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Cpu,
    Gpu,
}

impl Backend {
    /// The one that a browser module has.
    pub const COMPILED_IN: Self = if cfg!(feature = "webgpu") { Self::Gpu } else { Self::Cpu };

    /// The name JavaScript and the command line use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "webgpu",
        }
    }
}

/// The CPU backend (Flex).
#[cfg(feature = "cpu")]
pub fn cpu() -> Device {
    Device::flex()
}

/// The device of the backend that a browser module has. Must be awaited before the first tensor.
///
/// # Errors
/// `WebgpuUnavailable` where the browser has no `navigator.gpu`, `NoAdapter` where that gives none.
#[cfg(target_arch = "wasm32")]
pub async fn open() -> Result<Device> {
    #[cfg(not(feature = "webgpu"))]
    return Ok(cpu());
    #[cfg(feature = "webgpu")]
    {
        use crate::error::Error;
        if browser_gpu().is_none() {
            return Err(Error::WebgpuUnavailable { reason: "this browser has no `navigator.gpu` here".into() });
        }
        Device::wgpu_options().init_async().await.map_err(|e| Error::NoAdapter { reason: e.to_string() })
    }
}

/// `navigator.gpu`.
#[cfg(all(feature = "webgpu", target_arch = "wasm32"))]
fn browser_gpu() -> Option<wasm_bindgen::JsValue> {
    use js_sys::Reflect;
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    Reflect::get(&navigator, &"gpu".into()).ok().filter(|gpu| gpu.is_object())
}

/// Whether WGSL has products of four 8-bit integers to a word here. What compiles WGSL natively has them.
#[cfg(feature = "webgpu")]
pub fn has_packed_dot() -> bool {
    #[cfg(target_arch = "wasm32")]
    return browser_has("packed_4x8_integer_dot_product").unwrap_or(false);
    #[cfg(not(target_arch = "wasm32"))]
    true
}

/// Whether the browser's WGSL has a language feature; None where it does not tell.
#[cfg(all(feature = "webgpu", target_arch = "wasm32"))]
fn browser_has(feature: &str) -> Option<bool> {
    use js_sys::{Function, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    let get = |of: &JsValue, key: &str| Reflect::get(of, &key.into()).ok();
    let features = get(&browser_gpu()?, "wgslLanguageFeatures")?;
    let has: Function = get(&features, "has")?.dyn_into().ok()?;
    has.call1(&features, &feature.into()).ok()?.as_bool()
}

/// The first GPU that Vulkan offers.
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
pub fn gpu() -> Result<Device> {
    use crate::error::Error;
    Device::wgpu_options().init().map_err(|e| Error::NoAdapter { reason: e.to_string() })
}

#[cfg(not(feature = "gpu"))]
#[cfg(not(target_arch = "wasm32"))]
/// Fails: this build has no GPU backend.
pub fn gpu() -> Result<Device> {
    Err(crate::error::Error::NoAdapter { reason: "this build has no GPU backend: build with `--features gpu`".into() })
}

/// Whether tensors of this device are in host memory, so that reading one costs nothing.
pub fn is_host(device: &Device) -> bool {
    #[cfg(feature = "cpu")]
    return device.clone().inner() == cpu();
    #[cfg(not(feature = "cpu"))]
    {
        let _ = device;
        false
    }
}

/// What `upload` makes of `data`, in device memory that is its own and that `data` has left for when this returns.
///
/// Without it a GPU's allocator may round a tensor up to a page of a bucket, or put it on a larger page that was free; and `data`
/// waits in host memory, with that of many tensors more, until the queue of writes is long enough to run.
pub fn resident<T: Send>(data: TensorData, device: &Device, upload: impl Fn(TensorData) -> T + Send) -> T {
    device.memory_persistent_allocations(data, upload)
}
