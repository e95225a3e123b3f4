//! The checks of the configurations a manifest carries: counts and factors within what any model can have.

use super::manifest::Parts;
use crate::bundle::config::{
    ANY_VOCABULARY, KvCompression, Prediction, SchedulerConfig, TextEncoderConfig, TinyVaeConfig, TransformerConfig,
    VaeConfig,
};
use crate::error::{Error, Result};

/// No width, count or length of a model is above this.
const MAX_COUNT: usize = ANY_VOCABULARY;
/// Channels of latents and pictures.
const MAX_CHANNELS: usize = 1 << 12;
/// Tokens of a prompt: the encoder compares each with each.
const MAX_TOKENS: usize = 1 << 10;
/// Latent cells along a side of a picture, or of a patch.
const MAX_SIDE: usize = 1 << 12;
const MAX_PATCH: usize = 1 << 8;
/// Tokens along a square that becomes one key.
const MAX_KV_SCALE: usize = 16;
/// Levels of an autoencoder, at most.
const MAX_LEVELS: usize = 8;

impl Parts {
    /// Tokens of the text encoder's table, or what any could have.
    pub fn vocab_size(&self) -> usize {
        self.text_encoder.as_ref().map_or(ANY_VOCABULARY, |text| text.vocab_size)
    }

    /// Checks every part, so that sizes can be multiplied and divided without thought afterwards.
    pub(super) fn check(&self) -> Result<()> {
        transformer(&self.transformer)?;
        self.text_encoder.as_ref().map_or(Ok(()), text_encoder)?;
        self.tokenizer.as_ref().map_or(Ok(()), |t| {
            counts("tokenizer", &[("maxLength", t.max_length)])?;
            below("tokenizer", "maxLength", t.max_length, MAX_TOKENS)
        })?;
        self.vae.as_ref().map_or(Ok(()), vae)?;
        self.vae_tiny.as_ref().map_or(Ok(()), vae_tiny)?;
        scheduler(&self.scheduler)
    }
}

fn transformer(c: &TransformerConfig) -> Result<()> {
    let part = "transformer";
    counts(
        part,
        &[
            ("layers", c.layers),
            ("heads", c.heads),
            ("headDim", c.head_dim),
            ("heads x headDim", c.heads.saturating_mul(c.head_dim)),
            ("inChannels", c.in_channels),
            ("outChannels", c.out_channels),
            ("patchSize", c.patch_size),
            ("captionChannels", c.caption_channels),
            ("sampleSize", c.sample_size),
        ],
    )?;
    below(part, "inChannels", c.in_channels, MAX_CHANNELS)?;
    below(part, "outChannels", c.out_channels, MAX_CHANNELS)?;
    below(part, "patchSize", c.patch_size, MAX_PATCH)?;
    below(part, "sampleSize", c.sample_size, MAX_SIDE)?;
    positive(part, "interpolationScale", c.interpolation_scale)?;
    if c.sample_size < c.patch_size {
        return fault(part, "sampleSize", "is below patchSize");
    }
    if !c.sample_size.is_multiple_of(c.patch_size) {
        return fault(part, "sampleSize", "is not a multiple of patchSize");
    }
    if c.size_conditions && !c.width().is_multiple_of(3) {
        return fault(part, "heads x headDim", "is not a multiple of 3, of which the size's embedding is made");
    }
    if let Some(compression) = &c.kv_compression {
        kv_compression(part, compression, c)?;
    }
    if !c.width().is_multiple_of(4) {
        return fault(part, "heads x headDim", "is not a multiple of 4, which the position table needs");
    }
    Ok(())
}

fn kv_compression(part: &str, c: &KvCompression, model: &TransformerConfig) -> Result<()> {
    if !(2..=MAX_KV_SCALE).contains(&c.scale) {
        return fault(part, "kvCompression.scale", &format!("{} is not between 2 and {MAX_KV_SCALE}", c.scale));
    }
    if c.scale > model.sample_size / model.patch_size {
        return fault(part, "kvCompression.scale", "is above the tokens along a side of sampleSize");
    }
    if c.layers.is_empty() || !c.layers.is_sorted_by(|a, b| a < b) || c.layers.iter().any(|n| *n >= model.layers) {
        return fault(part, "kvCompression.layers", "are not some of the layers, ascending");
    }
    Ok(())
}

fn text_encoder(c: &TextEncoderConfig) -> Result<()> {
    let part = "textEncoder";
    counts(
        part,
        &[
            ("vocabSize", c.vocab_size),
            ("dModel", c.d_model),
            ("dKv", c.d_kv),
            ("heads", c.heads),
            ("heads x dKv", c.heads.saturating_mul(c.d_kv)),
            ("dFf", c.d_ff),
            ("layers", c.layers),
            ("relativeBuckets", c.relative_buckets),
            ("relativeMaxDistance", c.relative_max_distance),
        ],
    )?;
    if c.relative_buckets < 4 || c.relative_max_distance <= c.relative_buckets / 4 {
        return fault(part, "relativeBuckets", "is below 4, or relativeMaxDistance not above a quarter of it");
    }
    positive(part, "layerNormEps", c.layer_norm_eps)
}

fn vae(c: &VaeConfig) -> Result<()> {
    let part = "vae";
    let fields = [
        ("inChannels", c.in_channels),
        ("outChannels", c.out_channels),
        ("latentChannels", c.latent_channels),
        ("layersPerBlock", c.layers_per_block),
        ("normGroups", c.norm_groups),
    ];
    counts(part, &fields)?;
    levels(part, "blockOutChannels", &c.block_out_channels)?;
    if c.block_out_channels.iter().any(|n| n % c.norm_groups != 0) {
        return fault(part, "blockOutChannels", "are not multiples of normGroups");
    }
    positive(part, "scalingFactor", c.scaling_factor)
}

fn vae_tiny(c: &TinyVaeConfig) -> Result<()> {
    let part = "vaeTiny";
    let fields =
        [("inChannels", c.in_channels), ("outChannels", c.out_channels), ("latentChannels", c.latent_channels)];
    counts(part, &fields)?;
    levels(part, "encoderBlockChannels", &c.encoder_block_channels)?;
    levels(part, "decoderBlockChannels", &c.decoder_block_channels)?;
    levels(part, "encoderBlocks", &c.encoder_blocks)?;
    levels(part, "decoderBlocks", &c.decoder_blocks)?;
    let lengths = [c.encoder_block_channels.len(), c.encoder_blocks.len(), c.decoder_blocks.len()];
    if lengths.iter().any(|&n| n != c.decoder_block_channels.len()) {
        return fault(part, "decoderBlockChannels", "and the other lists differ in length");
    }
    if !(1..=4).contains(&c.upsampling_factor) {
        return fault(part, "upsamplingFactor", "is outside 1..4");
    }
    if c.encoder && c.encoder_blocks.len() > 1 && c.upsampling_factor != 2 {
        return fault(part, "upsamplingFactor", "is not 2, by which an encoder shrinks");
    }
    if !(1..=16).contains(&c.patch_size) {
        return fault(part, "patchSize", "is outside 1..16");
    }
    positive(part, "latentMagnitude", c.latent_magnitude)?;
    positive(part, "scalingFactor", c.scaling_factor)
}

fn scheduler(c: &SchedulerConfig) -> Result<()> {
    let part = "scheduler";
    if !(2..=100_000).contains(&c.train_timesteps) {
        return fault(part, "trainTimesteps", "is outside 2..100000");
    }
    if !(c.beta_start > 0.0 && c.beta_start <= c.beta_end && c.beta_end < 1.0) {
        return fault(part, "betaStart", "and betaEnd are not 0 < start <= end < 1");
    }
    if c.steps_offset >= c.train_timesteps {
        return fault(part, "stepsOffset", "is not below trainTimesteps");
    }
    if c.zero_terminal_snr && c.prediction == Prediction::Epsilon {
        return fault(part, "zeroTerminalSnr", "does not go with epsilon: noise alone says nothing about the picture");
    }
    Ok(())
}

fn counts(part: &str, fields: &[(&str, usize)]) -> Result<()> {
    match fields.iter().find(|(_, value)| !(1..=MAX_COUNT).contains(value)) {
        None => Ok(()),
        Some((field, value)) => fault(part, field, &format!("is {value}, outside 1..{MAX_COUNT}")),
    }
}

fn below(part: &str, field: &str, value: usize, most: usize) -> Result<()> {
    if value <= most { Ok(()) } else { fault(part, field, &format!("is {value}, outside 1..{most}")) }
}

fn levels(part: &str, field: &str, list: &[usize]) -> Result<()> {
    if list.is_empty() || list.len() > MAX_LEVELS {
        return fault(part, field, &format!("has {} levels, outside 1..{MAX_LEVELS}", list.len()));
    }
    counts(part, &list.iter().map(|&n| (field, n)).collect::<Vec<_>>())
}

fn positive(part: &str, field: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { fault(part, field, "is not positive") }
}

fn fault(part: &str, field: &str, reason: &str) -> Result<()> {
    Err(Error::manifest(format!("parts.{part}: {field} {reason}")))
}
