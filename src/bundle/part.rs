//! The parts of a bundle, by which its files are told apart.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Part {
    Transformer,
    TextEncoder,
    Tokenizer,
    Vae,
    VaeTiny,
    /// Text states of prompts.
    Prompts,
}

impl Part {
    /// First element of its tensors' names.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::TextEncoder => "text_encoder",
            Self::Tokenizer => "tokenizer",
            Self::Vae => "vae",
            Self::VaeTiny => "vae_tiny",
            Self::Prompts => "prompts",
        }
    }
}
