//! WGSL kernels for burn's WebGPU backend: the hot path of a denoising step, and the autoencoders.
//!
//! burn's own kernels are chosen by autotune, which does not work in a browser; without it they are an order of magnitude slower
//! than these. Each file is one operation: its shader, its launch, and its twin in plain tensor operations, with which
//! [`self_test`] compares it on the device at hand. Nothing here reads back or waits.

mod attention;
mod conv;
mod gemm;
mod group_norm;
mod handing;
mod int8;
mod launch;
mod linear;
mod norm;
mod packed;
mod product;
mod rows;
mod select;
mod self_test;
mod timings;
mod tune;

use core::sync::atomic::{AtomicBool, Ordering};

use burn::backend::DispatchTensorKind;
use burn::tensor::{DType, Device, Tensor};

pub use attention::{SelfAttention, attention, fits};
pub use conv::{Conv, Convolution, Window};
pub use group_norm::group_norm;
pub use handing::{Trial, hand, handed};
pub use linear::{Activation, Weight, linear, linear_residual};
pub use norm::{modulated_norm, rms_norm};
pub use packed::{Format, Packed};
pub use product::Product;
pub use rows::Norms;
pub use select::{Selected, select};
pub use self_test::self_test;
pub use timings::Precision;
pub use tune::Workload;

/// Whether tensors of `device` are on WebGPU.
pub fn is_on(device: &Device) -> bool {
    runs(&Tensor::<1>::zeros([1], device))
}

/// Whether layers keep to plain tensor operations.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// From now on layers keep to plain tensor operations, or do not: for comparison.
pub fn use_plain(plain: bool) {
    PLAIN.store(plain, Ordering::Relaxed);
}

/// Whether `x` is a tensor on WebGPU, outside of a gradient graph, of numbers that kernels hand on.
pub fn runs<const D: usize>(x: &Tensor<D>) -> bool {
    !PLAIN.load(Ordering::Relaxed)
        && matches!(x.dtype(), DType::F32 | DType::F16)
        && matches!(x.clone().into_dispatch().kind, DispatchTensorKind::Cube(_))
}
