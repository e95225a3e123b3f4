//! Every part against what diffusers and transformers computed from the same weights and inputs.

mod routed;
mod schedulers;
mod support;
mod text_encoder;
mod tokenizer;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod train_device;
mod train_latents;
#[cfg(feature = "train")]
mod train_lora;
#[cfg(feature = "train")]
mod train_vae;
mod transformer;
mod vae;
mod vae_tiled;
