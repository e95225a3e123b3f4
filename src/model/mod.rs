//! The networks of a PixArt pipeline, as their checkpoints name them.

mod charsmap;
pub mod config;
pub mod tokenizer;
pub mod vae;
