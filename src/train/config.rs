//! The TOML file of a training run: every setting with its default, checked by name before anything starts.

mod autoencoder;
mod check;
mod classifier;
pub mod init;
mod lora;
mod suggest;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::stage::Stage;
use crate::bundle::config::Prediction;
use crate::convert::policy::Scheme;
use crate::device::Choice;
use crate::error::{Error, Result};
use crate::files;
pub use crate::kernels::Precision;
pub use autoencoder::AutoencoderConfig;
pub use classifier::ClassifierSettings;
pub use lora::{Base, LoraConfig};
use suggest::suggest;

/// Source of the stickers with the pairs that are held out from models: what their judge learns.
pub const ALL_STICKERS: &str = "stickers:all";

/// What a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A dense model, from nothing or from a dense bundle.
    Base,
    /// Routers, ratios and weights, from a dense bundle.
    Diffcr,
    /// An autoencoder, whose latents a model is then trained on.
    Vae,
    /// What tells the things of drawn stickers apart: their judge.
    Classifier,
}

/// What the model learns to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// To draw pictures.
    #[default]
    Generate,
    /// To fill holes too: beside the noisy picture it sees a mask and the picture without its hole.
    Inpaint,
}

/// The variance that a model with twice the channels predicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sigma {
    /// It is left alone.
    #[default]
    Ignore,
    /// It learns by the variational bound, as PixArt's own training does.
    Vlb,
}

/// What a step works out again instead of keeping it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Nothing.
    #[default]
    None,
    /// What is inside the blocks: about a third of the memory, for a third more time.
    Block,
}

/// A run. Paths are relative to the folder the command is given in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainConfig {
    /// The bundle that is written at the end.
    pub out: PathBuf,
    /// Where checkpoint, log and plots go.
    pub work: PathBuf,
    pub name: Option<String>,
    pub license: Option<String>,
    /// The bundle to start from; its routers stay behind unless `routing.inherit` is set. Without it `train base` starts from nothing.
    /// `train vae` starts from the folder of an `AutoencoderTiny`, `train classifier` from one that it wrote.
    pub from: Option<PathBuf>,
    /// Whether the text encoder learns too; a pretrained one usually stays as it is.
    #[serde(default = "yes")]
    pub train_text_encoder: bool,
    /// From a bundle that draws, `inpaint` widens its first layer, with nothing in the new channels.
    #[serde(default)]
    pub task: Task,
    /// What a step works out again instead of keeping it.
    #[serde(default)]
    pub recompute: Recompute,
    /// Of the operands of linear layers' and convolutions' products: `f32` or `bf16`. Weights, optimizer and sums stay f32.
    #[serde(default)]
    pub precision: Precision,
    /// What computes: `cpu`, `vulkan:N` or `cuda:N`, a GPU by its number.
    #[serde(default)]
    pub device: Choice,
    #[serde(default)]
    pub seed: u64,
    /// `scenes`, `stickers`, a folder of captioned pictures, or a cache of latents. A classifier learns `stickers:all`, which holds no
    /// pairs of thing and colour back.
    #[serde(default = "scenes")]
    pub source: String,
    /// Mirrors every other picture left to right; captions stay as they are, so it is for sources that do not say left and right.
    #[serde(default)]
    pub flip: bool,
    /// `[[stage]]` tables, one after the other; each starts from the average of the one before.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
    /// The shape of a model that starts from nothing.
    pub model: Option<ModelConfig>,
    /// Of `train vae`: the autoencoder and its loss.
    #[serde(default)]
    pub autoencoder: AutoencoderConfig,
    /// Of `train classifier`: its shape.
    #[serde(default)]
    pub classifier: ClassifierSettings,
    #[serde(default)]
    pub loss: LossConfig,
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    #[serde(default)]
    pub routing: RoutingConfig,
    /// Adapters that learn in place of the weights; everything else but routers and ratios is then frozen.
    pub lora: Option<LoraConfig>,
    /// Trains the weights as `convert --encoding` will store them; without it as they are.
    pub quantize: Option<QuantizeConfig>,
    #[serde(default)]
    pub progress: ProgressConfig,
}

/// A new model: a T5 encoder and a PixArt that draws pixels, or an autoencoder's latents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelConfig {
    /// `tokenizer.json`; its vocabulary sizes the encoder.
    pub tokenizer: PathBuf,
    /// The folder that `train vae` wrote; without it the model draws pixels.
    pub autoencoder: Option<PathBuf>,
    #[serde(default = "d20")]
    pub max_tokens: usize,
    #[serde(default = "d8")]
    pub layers: usize,
    #[serde(default = "d4")]
    pub heads: usize,
    #[serde(default = "d32")]
    pub head_dim: usize,
    /// Side of a token, in pixels or in cells of the latents.
    #[serde(default = "d8")]
    pub patch: usize,
    #[serde(default = "d128")]
    pub text_width: usize,
    #[serde(default = "d2")]
    pub text_layers: usize,
    #[serde(default = "d4")]
    pub text_heads: usize,
    #[serde(default = "d256")]
    pub text_mlp: usize,
    #[serde(default = "sample")]
    pub prediction: Prediction,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LossConfig {
    /// Share of captions replaced by the empty one, for guidance.
    pub empty_captions: f64,
    /// Largest weight `1 / (1 − ᾱ)` of a sample-predicting model's error.
    pub weight_cap: f64,
    /// What becomes of the variance that a model predicts beside its picture.
    pub sigma: Sigma,
    /// How far timesteps are drawn towards noise: with 3 half of them lie above three quarters. What the caption decides, it decides
    /// there. 1 is uniform.
    pub shift: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Rate of Muon for the matrices inside the blocks, an autoencoder's convolutions among them, with the stage's warmup and decay; without it they are AdamW's too.
    pub muon: Option<f64>,
    /// Rate of the text encoder's relative position bias, with the stage's warmup and decay. It is added to logits as it is: at the
    /// rate of weights it takes a run of many thousand steps until a head looks only ahead or only back, and till then word
    /// order is not understood.
    pub relative_bias: f64,
    pub betas: [f64; 2],
    /// Of matrices; vectors, modulation tables and ratios do not decay.
    pub weight_decay: f64,
    /// Largest norm of the gradient, ratios apart.
    pub clip: f64,
    /// Steps of linear warmup in every stage.
    pub warmup: u64,
    /// Share of a stage before the cosine sets in.
    pub hold: f64,
    /// Where the cosine ends, as a share of the rate.
    pub floor: f64,
    /// Decay of the average of the weights, at most.
    pub ema: f64,
    /// Images of a micro-batch, at most: what one core works on at a time.
    pub micro_batch: usize,
    /// Threads; 0 for one a core. The result does not depend on it.
    pub threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// No routers: the dense model, fine-tuned as long as the others.
    Dense,
    /// Routers at one ratio for all layers.
    Mod,
    /// A learned ratio per layer.
    L,
    /// A learned ratio per layer and region of the timesteps.
    Lt,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RoutingConfig {
    pub variant: Variant,
    /// Share of the tokens that layers skip on average.
    pub compression: f64,
    pub bins: Vec<f64>,
    /// Regions of the timesteps; 1 unless the variant is `lt`.
    pub regions: usize,
    pub score_gain: f64,
    /// Learning rate of the ratios.
    pub ratio_rate: f64,
    /// λ at the start.
    pub lambda: f64,
    /// Share of the run over which the target moves from where the run starts to `compression`.
    pub ramp: f64,
    /// Goes on with the routers and ratios of the bundle in `from`, instead of fresh ones at no compression.
    pub inherit: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuantizeConfig {
    /// `q8`, `q4` or `mixed`.
    pub encoding: Scheme,
    /// Inputs that share a scale.
    #[serde(default = "d64")]
    pub group: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProgressConfig {
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Checkpoints that stay: beyond 1, the newest of them under the names of their steps, too.
    pub keep: usize,
    /// Steps between two lines.
    pub log_every: u64,
    /// Pictures that are never trained on and measured at every checkpoint, with noise that stays the same. From a folder or a cache
    /// they are taken away; a drawn source draws others.
    pub held_out: usize,
    /// Prompts that are drawn at every checkpoint with the average of the weights: `samples-STEP.png`.
    pub prompts: Vec<String>,
}

macro_rules! defaults {
    ($($name:ident: $type:ty = $value:expr;)*) => { $(fn $name() -> $type { $value })* };
}
defaults! {
    yes: bool = true;
    scenes: String = "scenes".into();
    sample: Prediction = Prediction::Sample;
    d2: usize = 2;
    d4: usize = 4;
    d8: usize = 8;
    d20: usize = 20;
    d32: usize = 32;
    d64: usize = 64;
    d128: usize = 128;
    d256: usize = 256;
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { empty_captions: 0.1, weight_cap: 4.0, sigma: Sigma::Ignore, shift: 1.0 }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            muon: None,
            relative_bias: 1e-2,
            betas: [0.9, 0.98],
            weight_decay: 0.0,
            clip: 1.0,
            warmup: 60,
            hold: 0.4,
            floor: 0.15,
            ema: 0.998,
            micro_batch: 16,
            threads: 0,
        }
    }
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self {
            variant: Variant::Lt,
            compression: 0.3,
            bins: (0..10).map(|i| f64::from(10 - i) / 10.0).collect(),
            regions: 4,
            score_gain: 1.0,
            ratio_rate: 2e-3,
            lambda: 0.3,
            ramp: 0.5,
            inherit: false,
        }
    }
}

impl Default for ProgressConfig {
    fn default() -> Self {
        Self { checkpoint_every: 200, keep: 1, log_every: 20, held_out: 0, prompts: vec![] }
    }
}

impl TrainConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting; `Io` where the file cannot be read.
    pub fn read(path: &Path, kind: Kind) -> Result<Self> {
        let text = files::read_text(path)?;
        Self::parse(&text, kind)
    }

    /// As [`TrainConfig::read`], from the file's text.
    pub fn parse(text: &str, kind: Kind) -> Result<Self> {
        let config = toml::Deserializer::parse(text).map_err(|e| Error::input("config", e.message().to_owned()))?;
        let mut config: Self = serde_path_to_error::deserialize(config).map_err(|e| {
            let path = e.path().to_string();
            Error::input(if path == "." { "config".into() } else { path }, suggest(e.inner().message()))
        })?;
        if config.routing.variant != Variant::Lt {
            config.routing.regions = 1;
        }
        config.check(kind)?;
        Ok(config)
    }

    /// The stages, checked.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting that is out of range.
    pub fn stages(&self) -> Result<Vec<Stage>> {
        self.stages.iter().enumerate().try_for_each(|(i, stage)| stage.check(i))?;
        Ok(self.stages.clone())
    }

    /// Whether the run has routers.
    pub fn is_routed(&self, kind: Kind) -> bool {
        kind == Kind::Diffcr && self.routing.variant != Variant::Dense
    }
}

#[cfg(test)]
mod tests;
