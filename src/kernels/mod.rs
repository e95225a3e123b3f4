//! The operations of the networks: each runs as a kernel of our own where there is one for the device, else in tensor operations.
//!
//! The choice is made here and nowhere else. Over WebGPU it is WGSL (`webgpu` launches what [`wgsl`] makes), on the CPU of a
//! trainer a fused pass with a closed-form gradient (`cpu`), and everywhere else burn's own operations, written beside each operation
//! as its reference.

pub mod activation;
pub mod attention;
pub mod cast;
pub mod conv;
#[cfg(feature = "train")]
mod cpu;
pub mod linear;
pub mod norm;
pub mod packed;
pub mod residual;
pub mod select;
pub mod upsample;
#[cfg(feature = "webgpu")]
pub mod webgpu;
pub mod weight;
pub mod wgsl;

#[cfg(feature = "train")]
pub use cpu::{Precision, flush_denormals, set_products};
