//! Where tensors live, and what that device can do: WebGPU of our own or the page's, a GPU natively, or the CPU.
//!
//! `open` and [`gpu`] ask wgpu itself for instance, adapter and device, with all that the adapter has, and hand them to burn;
//! [`profile`] tells kernels, loader and callers what came of it.

#[cfg(any(feature = "cuda", all(feature = "gpu", not(target_arch = "wasm32"))))]
mod absent;
mod backend;
#[cfg(all(feature = "webgpu", target_arch = "wasm32"))]
mod browser;
#[cfg(feature = "train")]
mod choice;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cli")]
pub mod memory;
mod profile;
#[cfg(feature = "webgpu")]
mod webgpu;

use burn::tensor::Device;

use crate::error::Result;

pub use backend::Backend;
#[cfg(feature = "train")]
pub use choice::Choice;
#[cfg(feature = "cuda")]
pub use cuda::open as cuda;
pub use profile::{AdapterKind, DeviceLimits, DeviceProfile};

/// The CPU backend (Flex).
#[cfg(feature = "cpu")]
pub fn cpu() -> Device {
    Device::flex()
}

/// A device of the backend that a browser module has. Must be awaited before the first tensor.
///
/// `page` is a `GPUDevice` of the page's, which it keeps; otherwise the module asks for one of its own, of the adapter that takes the
/// least power where `low_power`.
///
/// # Errors
/// `WebgpuUnavailable` where the browser has no `navigator.gpu`, `NoAdapter` where that gives none, `InvalidInput` on `device`
/// where a `GPUDevice` was handed to a module without WebGPU, or what was handed in is none.
#[cfg(target_arch = "wasm32")]
pub async fn open(page: Option<wasm_bindgen::JsValue>, low_power: bool) -> Result<Device> {
    #[cfg(feature = "webgpu")]
    return browser::open(page, low_power).await;
    #[cfg(not(feature = "webgpu"))]
    let _ = low_power;
    #[cfg(not(feature = "webgpu"))]
    match page {
        None => Ok(cpu()),
        Some(_) => {
            Err(crate::error::Error::input("device", "this module runs on the CPU: a GPUDevice is of no use to it"))
        }
    }
}

/// GPU `index` of those that this machine offers natively, in the order that wgpu lists them.
///
/// # Errors
/// `NoAdapter` naming those that were found, where there is none of that index.
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
pub fn gpu(index: usize) -> Result<Device> {
    webgpu::native(index)
}

/// Fails: this build has no GPU backend.
#[cfg(all(not(feature = "gpu"), not(target_arch = "wasm32")))]
pub fn gpu(_: usize) -> Result<Device> {
    Err(crate::error::Error::NoAdapter { reason: "this build has no GPU backend: build with `--features gpu`".into() })
}

/// Fails: this build has no CUDA backend.
#[cfg(all(not(feature = "cuda"), feature = "train"))]
pub fn cuda(_: usize) -> Result<Device> {
    Err(crate::error::Error::NoAdapter {
        reason: "this build has no CUDA backend: build with `--features cuda`".into(),
    })
}

/// What `device` can do.
pub fn profile(device: &Device) -> DeviceProfile {
    #[cfg(feature = "webgpu")]
    if let Some(profile) = webgpu::profile_of(device) {
        return profile;
    }
    let _ = device;
    DeviceProfile::cpu()
}

/// Whether what WebGPU was opened on computes on the CPU, as SwiftShader and lavapipe do.
#[cfg(feature = "webgpu")]
pub fn is_software() -> bool {
    webgpu::is_software()
}

/// Whether `device` is one of WebGPU's that was opened here.
#[cfg(feature = "webgpu")]
pub fn is_webgpu(device: &Device) -> bool {
    webgpu::profile_of(device).is_some()
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

/// Has the device let go of the memory that nothing holds any more, and which it would otherwise keep for the next tensor of that size.
pub fn release_unused(device: &Device) {
    device.clone().inner().memory_cleanup();
}

/// What `make` makes of `input`, in device memory that is its own; of data in host memory, which have left for there when this returns.
///
/// Without it a GPU's allocator may round a tensor up to a page of a bucket, or put it on a larger page that was free; and `data`
/// waits in host memory, with that of many tensors more, until the queue of writes is long enough to run.
pub fn resident<I: Send, T: Send>(input: I, device: &Device, make: impl Fn(I) -> T + Send) -> T {
    device.memory_persistent_allocations(input, make)
}
