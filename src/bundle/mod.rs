//! A model at rest: the manifest, its chunks, and the tensors they become.
//!
//! [`manifest`] is the only schema, [`chunk`] turns bytes into tensors without any I/O, [`load`] takes a bundle in file by file,
//! and [`weights`] hands its tensors to the layers by name.

pub mod chunk;
pub mod load;
pub mod manifest;
pub mod weights;

pub use load::Loader;
pub use manifest::Manifest;
pub use weights::{Scope, Weights};
