//! Every part against what diffusers and transformers computed from the same weights and inputs.

mod schedulers;
mod support;
mod text_encoder;
mod transformer;
mod tokenizer;
