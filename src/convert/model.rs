//! A source as a model: every part's configuration, its tensors under our names, and where they come from.

use super::checkpoint_tensor::Tensors;
use crate::bundle::manifest::Parts;
use crate::bundle::routing::Routing;

/// A model whose tensors are still in their files.
#[derive(Debug)]
pub struct SourceModel {
    /// The kind of source, for the manifest.
    pub source: &'static str,
    pub parts: Parts,
    pub transformer: Tensors,
    pub text_encoder: Tensors,
    pub vae: Tensors,
    pub vae_tiny: Tensors,
    pub tokenizer: Option<Vec<u8>>,
    pub routing: Option<Routing>,
    /// What was chosen or left aside, for people to know.
    pub notes: Vec<String>,
}
