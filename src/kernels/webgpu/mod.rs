//! WGSL kernels for burn's WebGPU backend: the hot path of a denoising step, and the autoencoders.
//!
//! burn's own kernels are chosen by autotune, which does not work in a browser; without it they are an order of magnitude slower
//! than these. Each operation launches shaders of [`crate::kernels::wgsl`] in the variant that [`choices`] has for its key, or in one
//! that it is given; [`tune`] times the variants and writes the choices. [`self_test`] compares each with its reference on the device
//! at hand. Nothing here but the tuner and the test reads back or waits.

pub mod attention;
pub mod cast;
pub mod choices;
pub mod compare;
pub mod conv;
pub mod group_norm;
pub mod half_conv;
mod int8;
pub mod launch;
pub mod linear;
pub mod norm;
pub mod packed;
mod runs;
pub mod select;
mod self_test;
pub mod tune;

pub use choices::{Precision, choose_as_on_gpu};
pub use runs::{is_on, runs, use_reference};
pub use self_test::self_test;
