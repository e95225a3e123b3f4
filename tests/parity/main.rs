//! Every part against what diffusers and transformers computed from the same weights and inputs.

mod routed;
mod schedulers;
mod support;
mod text_encoder;
mod tokenizer;
#[cfg(feature = "train")]
mod train;
mod transformer;
mod vae;
mod vae_tiled;
