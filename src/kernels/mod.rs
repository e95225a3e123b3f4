//! Fused operations of our own: one pass over memory where plain tensor operations take many.
//!
//! Each backend's room says when its kernels are used; everywhere else the layers do the same in plain tensor operations.

#[cfg(feature = "train")]
mod cpu;
pub mod norm;
mod residual;
#[cfg(feature = "webgpu")]
pub mod webgpu;

#[cfg(feature = "train")]
pub use cpu::{flush_denormals, gelu_tanh, is_fused, modulated_norm, softmax};
pub use residual::{Residual, Row, Slots, Slotted, gather};
