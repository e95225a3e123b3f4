//! What a model is made of: the configurations a manifest carries, one struct per part, checked before anything is built.
//!
//! They are ours, not a copy of a source's JSON: a converter reads whatever its source says (or what the tensors' names and
//! shapes say) and writes these, so that the engine has one reading.

use serde::{Deserialize, Serialize};

/// PixArt transformer (alpha and Sigma).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransformerConfig {
    pub layers: usize,
    pub heads: usize,
    pub head_dim: usize,
    pub in_channels: usize,
    /// Twice `in_channels` where the model also predicts a variance, which the engine drops.
    pub out_channels: usize,
    pub patch_size: usize,
    /// Width of the text encoder's states.
    pub caption_channels: usize,
    /// Latent side the model was trained for: the base of the position table.
    pub sample_size: usize,
    pub interpolation_scale: f64,
    /// Alpha at 1024: resolution and aspect ratio are embedded beside the timestep.
    pub size_conditions: bool,
    /// Queries and keys of self-attention pass a LayerNorm over all heads.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub qk_norm: bool,
    /// Layers whose self-attention reads a key and a value for a square of tokens (Sigma's KV compression).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub kv_compression: Option<KvCompression>,
}

/// Which layers compress their keys and values, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KvCompression {
    /// Tokens along a square that becomes one key and one value.
    pub scale: usize,
    /// The layers, ascending.
    pub layers: Vec<usize>,
}

impl TransformerConfig {
    /// Width of a token.
    pub fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Whether the model was trained to inpaint: beside `C` latents it takes a mask and `C` latents of the masked image. Known by
    /// its shape, `2 C + 1` channels in and `C` (or `2 C`, with variances) out.
    pub fn takes_mask(&self) -> bool {
        let latents = self.in_channels.saturating_sub(1) / 2;
        latents > 0 && self.in_channels % 2 == 1 && [latents, 2 * latents].contains(&self.out_channels)
    }

    /// How far layer `i` compresses its keys and values; 1 where it does not.
    pub fn kv_scale(&self, i: usize) -> usize {
        self.kv_compression.as_ref().filter(|c| c.layers.contains(&i)).map_or(1, |c| c.scale)
    }

    /// Channels of the latents; none where what comes out is not what goes in.
    pub fn latent_channels(&self) -> Option<usize> {
        let c = self.in_channels;
        match self.takes_mask() {
            true => Some((c - 1) / 2),
            false => [c, 2 * c].contains(&self.out_channels).then_some(c),
        }
    }
}

/// T5 encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextEncoderConfig {
    pub vocab_size: usize,
    pub d_model: usize,
    pub d_kv: usize,
    pub heads: usize,
    pub d_ff: usize,
    pub layers: usize,
    pub relative_buckets: usize,
    pub relative_max_distance: usize,
    pub layer_norm_eps: f64,
    pub feed_forward: FeedForward,
}

/// The MLP of a T5 layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum FeedForward {
    /// `wo(gelu_tanh(wi_0 x) * wi_1 x)`: T5 v1.1, XXL.
    GatedGelu,
    /// `wo(relu(wi x))`: the first T5.
    Relu,
}

/// No vocabulary is larger.
pub const ANY_VOCABULARY: usize = 1 << 20;

/// Where the token ids come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Path of `tokenizer.json` in the bundle.
    pub file: String,
    /// Longest prompt in tokens, `</s>` included.
    pub max_length: usize,
    pub pad_id: u32,
    pub eos_id: u32,
}

/// `AutoencoderKL`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaeConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    pub latent_channels: usize,
    /// Channels of each level, from the image inwards; every level but the last halves the size.
    pub block_out_channels: Vec<usize>,
    /// Resnets of an encoder level; a decoder level has one more.
    pub layers_per_block: usize,
    pub norm_groups: usize,
    /// One attention head over all channels in the middle block.
    pub mid_attention: bool,
    pub quant_conv: bool,
    pub post_quant_conv: bool,
    /// Model latents = encoder mean * scaling factor.
    pub scaling_factor: f64,
    /// The bundle carries the encoder (inpainting needs it).
    pub encoder: bool,
}

impl VaeConfig {
    /// Pixels of an image along one latent cell.
    pub fn scale(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// Values of the decoder's largest feature map for one cell of the latents.
    pub fn peak_values_per_cell(&self) -> usize {
        let channels = &self.block_out_channels;
        // A level's first resnet still has the width of the level inside it.
        let entering = channels.iter().skip(1).chain(channels.last());
        let level = |(i, (&own, &inner)): (usize, (&usize, &usize))| {
            own.max(inner).saturating_mul((self.scale() >> i).saturating_pow(2))
        };
        channels.iter().zip(entering).enumerate().map(level).max().unwrap_or(0)
    }
}

/// `AutoencoderTiny` (TAESD and its relatives), whose levels may differ in width, and which may begin with a pixel-unshuffle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TinyVaeConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    pub latent_channels: usize,
    pub encoder_block_channels: Vec<usize>,
    pub decoder_block_channels: Vec<usize>,
    pub encoder_blocks: Vec<usize>,
    pub decoder_blocks: Vec<usize>,
    pub upsampling_factor: usize,
    /// Side of the squares of pixels that the first convolution reads as channels, and the last one writes; 1 in TAESD.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[cfg_attr(test, ts(optional, as = "Option<usize>"))]
    pub patch_size: usize,
    /// The decoder's input is `tanh(x / m) * m` with this m.
    pub latent_magnitude: f64,
    pub scaling_factor: f64,
    pub encoder: bool,
}

impl TinyVaeConfig {
    /// Pixels of an image along one latent cell.
    pub fn scale(&self) -> usize {
        self.patch_size * self.upsampling_factor.pow(self.decoder_block_channels.len() as u32 - 1)
    }

    /// Values of the decoder's largest feature map for one cell of the latents.
    pub fn peak_values_per_cell(&self) -> usize {
        let area = |level: usize| self.upsampling_factor.saturating_pow(2 * level as u32);
        // What a convolution enlarges still has the channels of the level before.
        let levels = self.decoder_block_channels.iter().enumerate();
        levels
            .map(|(level, channels)| channels.saturating_mul(area((level + 1).min(self.decoder_blocks.len() - 1))))
            .max()
            .unwrap_or(0)
    }
}

fn one() -> usize {
    1
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

/// What the network's output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// The clean latents.
    Sample,
    /// `sqrt(a) noise - sqrt(1 - a) sample`.
    VPrediction,
}

/// The noise schedule the model was trained with, and the solver its publisher chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchedulerConfig {
    pub train_timesteps: usize,
    pub beta_start: f64,
    pub beta_end: f64,
    pub beta_schedule: BetaSchedule,
    pub prediction: Prediction,
    pub solver: SolverKind,
    /// How timesteps are chosen; as each solver's own scheduler does where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub timestep_spacing: Option<TimestepSpacing>,
    /// Added to `leading` timesteps.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(test, ts(optional, as = "Option<usize>"))]
    pub steps_offset: usize,
    /// The betas are rescaled so that the last timestep has no signal (Lin et al., <https://arxiv.org/abs/2305.08891>).
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub zero_terminal_snr: bool,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            train_timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            prediction: Prediction::Epsilon,
            solver: SolverKind::DpmSolver2M,
            timestep_spacing: None,
            steps_offset: 0,
            zero_terminal_snr: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    Linear,
    ScaledLinear,
}

/// How timesteps are chosen, in diffusers' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// Evenly from the first to the last.
    Linspace,
    /// Multiples of the stride, from 0.
    Leading,
    /// Strides down from the last.
    Trailing,
}

/// The solvers, by the names users type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum SolverKind {
    #[serde(rename = "dpm++")]
    DpmSolver2M,
    #[serde(rename = "dpm++1")]
    DpmSolver1,
    #[serde(rename = "ddim")]
    Ddim,
    #[serde(rename = "euler")]
    Euler,
    #[serde(rename = "euler_a")]
    EulerAncestral,
    #[serde(rename = "unipc")]
    UniPc,
    #[serde(rename = "sa")]
    SaSolver,
    #[serde(rename = "lcm")]
    Lcm,
    #[serde(rename = "dmd")]
    Dmd,
}

impl SolverKind {
    /// All of them, the default first.
    pub const ALL: [Self; 9] = [
        Self::DpmSolver2M,
        Self::DpmSolver1,
        Self::UniPc,
        Self::SaSolver,
        Self::Ddim,
        Self::Euler,
        Self::EulerAncestral,
        Self::Lcm,
        Self::Dmd,
    ];
}
