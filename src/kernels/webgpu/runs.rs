//! When tensors are the WGSL kernels' to work on.

use core::sync::atomic::{AtomicBool, Ordering};

use burn::backend::DispatchTensorKind;
use burn::tensor::{DType, Device, Tensor};

/// Whether tensors of `device` are on WebGPU.
pub fn is_on(device: &Device) -> bool {
    runs(&Tensor::<1>::zeros([1], device))
}

/// Whether operations keep to their references.
static REFERENCE: AtomicBool = AtomicBool::new(false);

/// From now on operations are done as their references are, or not: for comparison.
pub fn use_reference(reference: bool) {
    REFERENCE.store(reference, Ordering::Relaxed);
}

/// Whether `x` is a tensor on WebGPU, outside of a gradient graph, of numbers that kernels hand on.
pub fn runs<const D: usize>(x: &Tensor<D>) -> bool {
    !REFERENCE.load(Ordering::Relaxed)
        && matches!(x.dtype(), DType::F32 | DType::F16)
        && matches!(x.clone().into_dispatch().kind, DispatchTensorKind::Cube(_))
        // A build with CUDA too has its tensors under the same name.
        && (cfg!(not(feature = "cuda")) || crate::device::is_webgpu(&x.device()))
}
