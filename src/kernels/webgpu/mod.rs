//! WGSL kernels for burn's WebGPU backend: the hot path of a denoising step, and the autoencoders.
//!
//! burn's own kernels are chosen by autotune, which does not work in a browser; without it they are an order of magnitude slower
//! than these. Each file is one operation: its shader, its launch, and its twin in plain tensor operations, with which
//! [`self_test`] compares it on the device at hand. Nothing here reads back or waits.

mod attention;
mod conv;
mod gemm;
mod group_norm;
mod int8;
mod launch;
mod linear;
mod norm;
mod packed;
mod select;
mod self_test;
mod timings;
mod tune;

use burn::backend::DispatchTensorKind;
use burn::tensor::{DType, Device, Tensor};

pub use attention::{attention, fits};
pub use conv::{Conv, Window};
pub use group_norm::group_norm;
pub use linear::{Activation, Weight, linear, linear_residual};
pub use norm::{modulated_norm, rms_norm};
pub use packed::{Format, Packed};
pub use select::{Selected, select};
pub use self_test::self_test;
pub use timings::{Precision, timings};
pub use tune::{Product, tune};

/// Whether tensors of `device` are on WebGPU.
pub fn is_on(device: &Device) -> bool {
    runs(&Tensor::<1>::zeros([1], device))
}

/// Whether `x` is an f32 tensor on WebGPU, outside of a gradient graph.
pub fn runs<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.clone().into_dispatch().kind, DispatchTensorKind::Cube(_))
}
