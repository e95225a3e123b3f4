//! What to convert, and how.

use std::path::PathBuf;

use super::lora::Adapter;
use super::policy::Policy;
use crate::bundle::config::SolverKind;

/// Where parts are that do not come from the source: a part's folder, a repository's with the part in it, or a file.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub scheduler: Option<PathBuf>,
    pub text_encoder: Option<PathBuf>,
    pub tokenizer: Option<PathBuf>,
    pub vae: Option<PathBuf>,
}

impl Places {
    /// Whether any part comes from elsewhere.
    pub fn any(&self) -> bool {
        [&self.scheduler, &self.text_encoder, &self.tokenizer, &self.vae].iter().any(|place| place.is_some())
    }

    /// These, where they say something, and `other` where not.
    pub fn or(self, other: Self) -> Self {
        Self {
            scheduler: self.scheduler.or(other.scheduler),
            text_encoder: self.text_encoder.or(other.text_encoder),
            tokenizer: self.tokenizer.or(other.tokenizer),
            vae: self.vae.or(other.vae),
        }
    }
}

/// Whether the transformer is run before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Probe {
    /// Where that takes no more than [`Probe::MAX_PARAMETERS`] in memory.
    #[default]
    Small,
    Always,
    Never,
}

impl Probe {
    /// 1 GiB of them in f32.
    pub const MAX_PARAMETERS: usize = 1 << 28;
}

/// What to convert, and how.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// A diffusers folder, a checkpoint file of the transformer alone, or a bundle; one that is quantized keeps its encodings.
    pub src: PathBuf,
    /// The folder the bundle becomes.
    pub out: PathBuf,
    /// Replaces a bundle that is there.
    pub force: bool,
    /// The bundle's name; the source's by default.
    pub name: Option<String>,
    pub license: Option<String>,
    pub policy: Policy,
    /// Whether the caller chose an encoding; a quantized bundle is otherwise taken as it is.
    pub encoded: bool,
    /// Runs the transformer before and after, where it is quantized.
    pub probe: Probe,
    /// Bytes of a chunk, at most.
    pub chunk_bytes: u64,
    /// Routers and keep ratios in a file of their own.
    pub routers: Option<PathBuf>,
    /// A tiny autoencoder.
    pub vae_tiny: Option<PathBuf>,
    /// The solver to draw with, in place of the source's; of its scheduler the noise schedule alone is read.
    pub solver: Option<SolverKind>,
    /// Parts that come from elsewhere.
    pub places: Places,
    /// LoRA adapters that are merged, in order.
    pub loras: Vec<Adapter>,
    pub without_text_encoder: bool,
    pub without_vae: bool,
    /// Attention heads, where the source does not tell.
    pub heads: Option<usize>,
    /// Latent side the model was trained for, where the source does not tell.
    pub sample_size: Option<usize>,
    /// What positions are divided by, where the source does not tell.
    pub interpolation_scale: Option<f64>,
    /// What latents are multiplied by after the autoencoder's encoder, where the source does not tell.
    pub vae_scaling_factor: Option<f64>,
    /// The averaged weights of a `.pth` that holds both.
    pub ema: bool,
}
