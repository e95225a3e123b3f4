//! The networks of a PixArt pipeline, as their checkpoints name them.
//!
//! [`tokenizer`] and [`text_encoder`] turn a prompt into states, [`transformer`] is the denoiser ([`embed`] around
//! [`layer`]s, each a [`block`] of [`attention`], [`linear`] and [`norm`] behind a [`router`] that [`ratios`] rule, or on the
//! [`active_tokens`] alone), [`vae`] goes between pixels and latents. [`crate::bundle::config`] says what each is made of.

pub mod active_tokens;
pub mod adapter;
pub mod attention;
pub mod block;
mod charsmap;
#[cfg(feature = "train")]
pub mod classifier;
pub mod conv;
pub mod embed;
pub mod feed_forward;
pub mod kv_compression;
pub mod layer;
pub mod linear;
pub mod norm;
pub mod ratios;
pub mod router;
pub mod text_encoder;
pub mod text_stream;
pub mod tokenizer;
mod tokenizer_check;
pub mod transformer;
pub mod vae;
