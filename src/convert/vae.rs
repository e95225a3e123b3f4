//! The autoencoders: `AutoencoderKL` from its configuration, the tiny one from the order of its layers.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::checkpoint::{self, open_folder};
use super::checkpoint_tensor::Tensors;
use super::json::Config;
use super::keys::{count, numbered, rename};
use super::{keys_vae, taesd};
use crate::bundle::config::{TinyVaeConfig, VaeConfig};
use crate::error::{Error, Result};

/// The names a component's weights have in a diffusers folder.
pub const STEMS: [&str; 1] = ["diffusion_pytorch_model"];

/// The configuration of `tensors` (under our names, `vae.` in front) and `config`; the tensors tell what it leaves out. An empty one, as of a file
/// alone, needs the `scaling_factor`.
///
/// # Errors
/// `ModelInvalid` naming the setting or the tensor, `InvalidInput` where nothing tells the factor.
pub fn kl(tensors: &mut Tensors, config: &Config, scaling_factor: Option<f64>) -> Result<VaeConfig> {
    for (name, tensor) in tensors.iter_mut().filter(|(name, _)| name.contains(".mid_block.attentions.")) {
        // Attention of the original autoencoder is made of convolutions over single pixels.
        if let &[out, input, 1, 1] = tensor.shape.as_slice() {
            *tensor = tensor.reshape(vec![out, input]).map_err(|e| Error::model(name, e.to_string()))?;
        }
    }
    if !tensors.contains_key("vae.encoder.conv_in.weight") {
        // The encoder's last convolution goes with it.
        tensors.retain(|name, _| !name.starts_with("vae.quant_conv."));
    }
    config.only("act_fn", &[json!("silu")])?;
    config.only("shift_factor", &[json!(0)])?;
    config.only("latents_mean", &[])?;
    config.only("latents_std", &[])?;
    let told = Told::by(tensors)?;
    let block_out_channels = config.counts("block_out_channels")?.unwrap_or(told.block_out_channels);
    let usual = if config.is_empty() { scaling_factor } else { Some(0.18215) };
    let scaling_factor = config.number("scaling_factor")?.or(usual).ok_or_else(|| {
        Error::input("vae-scaling-factor", "the autoencoder has no config.json beside it: give --vae-scaling-factor")
    })?;
    for (field, kind) in [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")] {
        config.only(field, &[json!(vec![kind; block_out_channels.len()])])?;
    }
    let has = |name: &str| tensors.contains_key(&format!("vae.{name}"));
    Ok(VaeConfig {
        in_channels: config.count("in_channels")?.unwrap_or(3),
        out_channels: config.count("out_channels")?.unwrap_or(3),
        latent_channels: config.count("latent_channels")?.unwrap_or(told.latent_channels),
        block_out_channels,
        layers_per_block: config.count("layers_per_block")?.unwrap_or(told.layers_per_block),
        norm_groups: config.count("norm_num_groups")?.unwrap_or(32),
        mid_attention: has("decoder.mid_block.attentions.0.to_q.weight"),
        quant_conv: has("quant_conv.weight"),
        post_quant_conv: has("post_quant_conv.weight"),
        scaling_factor,
        encoder: has("encoder.conv_in.weight"),
    })
}

/// What the decoder's tensors tell.
struct Told {
    latent_channels: usize,
    /// From the picture inwards.
    block_out_channels: Vec<usize>,
    /// Of the encoder; the decoder has one more.
    layers_per_block: usize,
}

impl Told {
    fn by(tensors: &Tensors) -> Result<Self> {
        let channels = |name: &str, side: usize| {
            let found = tensors.get(name).and_then(|t| t.shape.get(side)).copied();
            found.ok_or_else(|| Error::model(name, "the tensor is missing"))
        };
        let levels = count(tensors.keys(), "vae.decoder.up_blocks")?;
        let first = |level: usize| channels(&format!("vae.decoder.up_blocks.{level}.resnets.0.conv1.weight"), 0);
        Ok(Self {
            latent_channels: channels("vae.decoder.conv_in.weight", 1)?,
            block_out_channels: (0..levels).rev().map(first).collect::<Result<_>>()?,
            layers_per_block: count(tensors.keys(), "vae.decoder.up_blocks.0.resnets")?.saturating_sub(1),
        })
    }
}

/// A tiny autoencoder of so many `latents`: a diffusers folder, a TAESD file, a folder with TAESD's two files, or the beginning that the
/// names of the two have in common.
pub fn tiny(path: &Path, latents: Option<usize>) -> Result<(TinyVaeConfig, Tensors)> {
    let json = path.join("config.json");
    let (tensors, config) = if json.is_file() {
        let config = Config::read(&json)?;
        config.only("_class_name", &[json!("AutoencoderTiny")])?;
        config.only("act_fn", &[json!("relu")])?;
        config.only("upsample_fn", &[json!("nearest")])?;
        (open_folder(path, &STEMS)?, Some(config))
    } else if path.is_file() {
        (keys_vae::taesd_half(checkpoint::open(path)?), None)
    } else {
        (taesd::halves(path, latents)?, None)
    };
    let ours = tensors.keys().any(|name| name.contains(".layers."));
    let tensors = rename(tensors, "vae_tiny", if ours { keys_vae::tiny } else { keys_vae::taesd })?;
    Ok((tiny_config(&tensors, config.as_ref())?, tensors))
}

/// A stage of either half is a run of residual blocks; a convolution stands before, between and after them.
fn tiny_config(tensors: &Tensors, config: Option<&Config>) -> Result<TinyVaeConfig> {
    let decoder = layers(tensors, "vae_tiny.decoder.layers")?;
    let patch_size = config.map_or(Ok(None), |c| c.count("patch_size"))?.unwrap_or(1);
    let pixels = |channels: usize| channels / patch_size.pow(2).max(1);
    let (latent_channels, out_channels) = ends(&decoder, "decoder")?;
    let out_channels = pixels(out_channels);
    let (decoder_blocks, decoder_block_channels) = stages(&decoder);
    let encoder = layers(tensors, "vae_tiny.encoder.layers")?;
    let has_encoder = !encoder.is_empty();
    let (in_channels, (encoder_blocks, encoder_block_channels)) = if has_encoder {
        (pixels(ends(&encoder, "encoder")?.0), stages(&encoder))
    } else {
        let mirrored = |list: &[usize]| list.iter().rev().copied().collect::<Vec<_>>();
        (out_channels, (mirrored(&decoder_blocks), mirrored(&decoder_block_channels)))
    };
    let number = |field: &str, default: f64| config.map_or(Ok(None), |c| c.number(field)).map(|n| n.unwrap_or(default));
    let upsampling = config.map_or(Ok(None), |c| c.count("upsampling_scaling_factor"))?.unwrap_or(2);
    Ok(TinyVaeConfig {
        in_channels,
        out_channels,
        latent_channels,
        encoder_block_channels,
        decoder_block_channels,
        encoder_blocks,
        decoder_blocks,
        upsampling_factor: upsampling,
        patch_size,
        latent_magnitude: number("latent_magnitude", 3.0)?,
        scaling_factor: number("scaling_factor", 1.0)?,
        encoder: has_encoder,
    })
}

/// A layer with parameters: a plain convolution, or a residual block.
#[derive(Debug, Clone, Copy)]
struct Layer {
    block: bool,
    out: usize,
    input: usize,
}

/// The layers of one half, in order.
fn layers(tensors: &Tensors, list: &str) -> Result<Vec<Layer>> {
    let mut layers = BTreeMap::new();
    for (name, tensor) in tensors {
        let Some((n, rest)) = numbered(name, list) else { continue };
        let &[out, input, ..] = tensor.shape.as_slice() else { continue };
        match rest {
            "weight" => layers.insert(n, Layer { block: false, out, input }),
            "conv.0.weight" => layers.insert(n, Layer { block: true, out, input }),
            _ => None,
        };
    }
    Ok(layers.into_values().collect())
}

/// Channels that go into the first convolution and come out of the last.
fn ends(layers: &[Layer], half: &str) -> Result<(usize, usize)> {
    match layers {
        [first @ Layer { block: false, .. }, .., last @ Layer { block: false, .. }] => Ok((first.input, last.out)),
        _ => Err(Error::model(format!("vae_tiny.{half}"), "it does not begin and end with a convolution")),
    }
}

/// Blocks and channels of each stage.
fn stages(layers: &[Layer]) -> (Vec<usize>, Vec<usize>) {
    let middle = layers.get(..layers.len().saturating_sub(1)).unwrap_or_default();
    let mut stages: Vec<(usize, usize)> = Vec::new();
    for layer in middle {
        match stages.last_mut() {
            Some((blocks, _)) if layer.block => *blocks += 1,
            _ => stages.push((0, layer.out)),
        }
    }
    stages.into_iter().unzip()
}
