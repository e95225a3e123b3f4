//! A model at rest: the manifest, its chunks, and the tensors they become.
//!
//! [`manifest`] is the only schema, [`config`] and [`routing`] its parts, [`chunk`] turns bytes into tensors without any I/O,
//! [`whole`] says whether that makes a model, [`load`] takes a bundle in file by file (`folder` from disk), and [`weights`] hands its tensors to the layers by name.
//! [`section`]s of it may be left for later; [`prompts`] holds text states of prompts that need no text encoder.

pub mod chunk;
pub mod config;
#[cfg(feature = "cli")]
pub mod folder;
pub mod load;
pub mod manifest;
mod part;
mod parts;
pub mod prompts;
pub mod routing;
pub mod section;
mod shapes;
mod unique;
pub mod weights;
pub mod whole;

pub use load::{Loaded, Loader};
pub use manifest::Manifest;
pub use weights::{Scope, Weights};
