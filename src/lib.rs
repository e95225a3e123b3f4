//! DiffCR: diffusion transformers with learned token routing, natively and in the browser.
//!
//! One direction of flow:
//!
//! ```text
//! diffcr.json + chunks ──> bundle ──> model ──> sampler ──> pipeline ──> wasm ──> www
//!                            ▲                                 │
//!         convert (native) ──┘   data ──> train, eval (native) └──> cli (native)
//! ```

pub mod error;

pub mod files;

pub mod device;

pub mod kernels;

pub mod bundle;

pub mod model;

pub mod flops;

pub mod sampler;

pub mod pipeline;

#[cfg(feature = "web")]
pub mod wasm;

#[cfg(all(test, feature = "cli"))]
mod contract;

#[cfg(feature = "cli")]
pub mod convert;

#[cfg(feature = "cli")]
pub mod export;

#[cfg(feature = "train")]
pub mod data;

#[cfg(feature = "train")]
pub mod train;

#[cfg(feature = "train")]
pub mod eval;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::{Error, Result};
