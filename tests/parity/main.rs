//! Every part against what diffusers and transformers computed from the same weights and inputs.

mod routed;
mod schedulers;
mod support;
mod text_encoder;
mod transformer;
mod tokenizer;
mod vae;
mod vae_tiled;
