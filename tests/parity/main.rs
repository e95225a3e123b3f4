//! The engine against diffusers and transformers, on the fixtures that they computed: one module per part.

mod schedulers;
mod tokenizer;
