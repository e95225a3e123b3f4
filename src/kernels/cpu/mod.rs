//! Fused operations on the CPU, for training and drawing: each is one pass over memory with a closed-form backward pass, where
//! plain operations take a dozen, and a graph of them as many nodes.
//!
//! They are used where a tensor is in host memory, and nowhere else: [`is_fused`]. Each has its twin in plain tensor operations
//! beside the layer that calls it, and a test between the two.

mod autodiff;
#[cfg(feature = "train")]
mod bf16;
#[cfg(feature = "train")]
mod conv;
#[cfg(feature = "train")]
mod conv_graph;
mod denormals;
mod exp;
mod gelu;
mod host;
mod lanes;
#[cfg(feature = "train")]
mod linear;
mod norm;
mod precision;
mod softmax;

use burn::tensor::{DType, Tensor};

use crate::device::is_host;

pub use autodiff::{gelu_tanh, modulated_norm, softmax};
#[cfg(feature = "train")]
pub use conv_graph::convolution;
pub use denormals::flush_denormals;
#[cfg(feature = "train")]
pub use linear::linear;
pub use precision::{Precision, products, set_products};

/// Whether `x` is in host memory, in a graph or not.
pub fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    is_host(&x.device()) && x.dtype() == DType::F32
}

/// A function compiled three times, for any processor and for those with AVX2 or AVX-512; the processor decides at run time.
macro_rules! wide {
    ($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        pub fn $name($($arg: $type),*) {
            #[inline(always)]
            fn body($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $type),*) {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
                fn widest($($arg: $type),*) {
                    body($($arg),*)
                }
                let has_512 = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq");
                if has_512 && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the features that `widest` is compiled for.
                    return unsafe { widest($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the features that `wide` is compiled for.
                    return unsafe { wide($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
use wide;
