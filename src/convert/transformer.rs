//! The transformer's configuration, from the tensors' names and shapes first and from what its source says where they are silent.

use serde_json::json;

use super::checkpoint_tensor::Tensors;
use super::json::Config;
use super::keys::{count, numbered};
use crate::bundle::config::{KvCompression, TransformerConfig};
use crate::error::{Error, Result};

/// Every released PixArt has heads of this width.
const HEAD_DIM: usize = 72;

/// What the tensors cannot tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints {
    pub heads: Option<usize>,
    pub sample_size: Option<usize>,
    pub interpolation_scale: Option<f64>,
    /// Tokens of the empty caption: 300 in Sigma, 120 in alpha.
    pub caption_tokens: Option<usize>,
}

/// Tokens of a prompt that diffusers' pipelines use.
pub const SIGMA_TOKENS: usize = 300;
pub const ALPHA_TOKENS: usize = 120;

impl Hints {
    /// From a diffusers `config.json`, whose other settings must be PixArt's.
    pub fn read(config: &Config) -> Result<Self> {
        config.only("_class_name", &[json!("PixArtTransformer2DModel"), json!("Transformer2DModel")])?;
        config.only("norm_type", &[json!("ada_norm_single")])?;
        config.only("activation_fn", &[json!("gelu-approximate")])?;
        config.only("norm_elementwise_affine", &[json!(false)])?;
        config.only("norm_eps", &[json!(1e-6)])?;
        config.only("attention_type", &[json!("default")])?;
        config.only("num_vector_embeds", &[])?;
        for flag in ["double_self_attention", "only_cross_attention", "use_linear_projection"] {
            config.only(flag, &[json!(false)])?;
        }
        // diffusers' own defaults, where the file leaves a setting out.
        let sample_size = config.count("sample_size")?.unwrap_or(128);
        Ok(Self {
            heads: Some(config.count("num_attention_heads")?.unwrap_or(16)),
            sample_size: Some(sample_size),
            interpolation_scale: Some(
                config.number("interpolation_scale")?.unwrap_or((sample_size / 64).max(1) as f64),
            ),
            caption_tokens: None,
        })
    }

    /// These, where they say something, and `other` where not.
    pub fn or(self, other: Self) -> Self {
        Self {
            heads: self.heads.or(other.heads),
            sample_size: self.sample_size.or(other.sample_size),
            interpolation_scale: self.interpolation_scale.or(other.interpolation_scale),
            caption_tokens: self.caption_tokens.or(other.caption_tokens),
        }
    }

    /// From the buffers of a checkpoint: the position table has a row for each patch of the trained size, and the empty caption a row
    /// for each text token.
    pub fn from_buffers(tensors: &Tensors) -> Self {
        let shape = |names: [&str; 2]| names.iter().find_map(|name| tensors.get(*name)).map(|t| t.shape.as_slice());
        let caption_tokens = match shape(["y_embedder.y_embedding", "caption_projection.y_embedding"]) {
            Some(&[tokens, _]) => Some(tokens),
            _ => None,
        };
        let patch = shape(["x_embedder.proj.weight", "pos_embed.proj.weight"]);
        let sample_size = match (patch, shape(["pos_embed", "pos_embed.pos_embed"])) {
            (Some(&[_, _, patch, _]), Some(&[1, patches, _])) => {
                Some(patches.isqrt()).filter(|side| side * side == patches).and_then(|side| side.checked_mul(patch))
            }
            _ => None,
        };
        Self { heads: None, sample_size, interpolation_scale: None, caption_tokens }
    }

    /// What the positions are divided by. Sigma, whose captions have 300 tokens, follows the size even below 512 pixels; alpha, of 120,
    /// and a model that does not tell only down to there.
    ///
    /// # Errors
    /// `InvalidInput` where the two differ and nothing tells which it is.
    fn scale(&self, sample_size: usize) -> Result<f64> {
        let (sigma, alpha) = (sample_size as f64 / 64.0, (sample_size / 64).max(1) as f64);
        match (self.interpolation_scale, self.caption_tokens) {
            (Some(scale), _) => Ok(scale),
            (None, Some(SIGMA_TOKENS)) => Ok(sigma),
            (None, Some(ALPHA_TOKENS)) => Ok(alpha),
            (None, _) if sigma == alpha => Ok(alpha),
            (None, _) => Err(Error::input(
                "interpolation-scale",
                format!(
                    "the checkpoint does not tell whether it is {sigma} (Sigma) or {alpha} (alpha): give --interpolation-scale"
                ),
            )),
        }
    }
}

/// The configuration of `tensors` (under our names, `transformer.` in front). Fails, naming it, on what is missing or misshapen.
pub fn config(tensors: &Tensors, hints: Hints) -> Result<TransformerConfig> {
    let shape = |name: &str| {
        let name = format!("transformer.{name}");
        let tensor = tensors.get(&name).ok_or_else(|| Error::model(&name, "the tensor is missing"))?;
        Ok::<_, Error>((name, tensor.shape.as_slice()))
    };
    let (name, patches) = shape("pos_embed.proj.weight")?;
    let &[width, in_channels, patch_size, across] = patches else {
        return Err(Error::model(name, format!("its shape is {patches:?}, not that of a patch convolution")));
    };
    let (name, caption) = shape("caption_projection.linear_1.weight")?;
    let &[_, caption_channels] = caption else {
        return Err(Error::model(name, format!("its shape is {caption:?}, not that of a matrix")));
    };
    let (name, out) = shape("proj_out.weight")?;
    let area = patch_size.saturating_mul(across).max(1);
    let out_channels = out.first().copied().filter(|rows| rows % area == 0).map(|rows| rows / area);
    let out_channels = out_channels
        .ok_or_else(|| Error::model(name, format!("its rows are no multiple of a patch of {patch_size}")))?;
    let heads = match hints.heads {
        Some(heads) if heads > 0 && width % heads == 0 => heads,
        None if width % HEAD_DIM == 0 => width / HEAD_DIM,
        heads => {
            let said = heads.map_or(format!("heads of {HEAD_DIM}"), |n| format!("{n} heads"));
            return Err(Error::input("heads", format!("a width of {width} is not made of {said}: give --heads")));
        }
    };
    let sample_size = hints.sample_size.ok_or_else(|| {
        Error::input(
            "sample-size",
            "the checkpoint does not tell its latent size (32, 64, 128, 256): give --sample-size",
        )
    })?;
    Ok(TransformerConfig {
        layers: count(tensors.keys(), "transformer.transformer_blocks")?,
        heads,
        head_dim: width / heads,
        in_channels,
        out_channels,
        patch_size,
        caption_channels,
        sample_size,
        interpolation_scale: hints.scale(sample_size)?,
        size_conditions: tensors.keys().any(|n| n.contains(".resolution_embedder.")),
        qk_norm: tensors.keys().any(|n| n.contains(".attn1.q_norm.")),
        kv_compression: kv_compression(tensors)?,
    })
}

/// The layers with a convolution of keys and values, whose kernel is the square of tokens that becomes one.
fn kv_compression(tensors: &Tensors) -> Result<Option<KvCompression>> {
    let mut found: Option<KvCompression> = None;
    for (name, tensor) in tensors {
        let Some((layer, "attn1.sr.weight")) = numbered(name, "transformer.transformer_blocks") else { continue };
        let &[_, 1, scale, across] = tensor.shape.as_slice() else {
            return Err(Error::model(
                name,
                format!("its shape is {:?}, not that of a depthwise convolution", tensor.shape),
            ));
        };
        let compression = found.get_or_insert_with(|| KvCompression { scale, layers: vec![] });
        if scale != across || scale != compression.scale {
            let reason = format!("it compresses by {scale} x {across}, another layer by {}", compression.scale);
            return Err(Error::model(name, reason));
        }
        compression.layers.push(layer);
    }
    if let Some(compression) = &mut found {
        compression.layers.sort_unstable(); // names sort as text
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_other_models_are_named() {
        let fault = |field: &str, value: serde_json::Value| {
            Hints::read(&Config::new(json!({ field: value }))).unwrap_err().to_string()
        };
        let class = fault("_class_name", json!("SD3Transformer2DModel"));
        assert_eq!(class, "config.json: _class_name \"SD3Transformer2DModel\" is not supported");
        assert!(fault("norm_type", json!("layer_norm")).contains("norm_type"));
        assert!(fault("attention_type", json!("gated")).contains("attention_type"));
        assert!(fault("sample_size", json!("big")).contains("sample_size"));
        let hints =
            Hints::read(&Config::new(json!({ "_class_name": "Transformer2DModel", "sample_size": 32 }))).unwrap();
        assert_eq!((hints.heads, hints.sample_size, hints.interpolation_scale), (Some(16), Some(32), Some(1.0)));
    }

    #[test]
    fn the_scale_is_what_the_source_tells_and_never_a_guess() {
        let scale = |scale, tokens, size| {
            Hints { interpolation_scale: scale, caption_tokens: tokens, ..Hints::default() }.scale(size)
        };
        for (size, sigma, alpha) in [(32, 0.5, 1.0), (64, 1.0, 1.0), (128, 2.0, 2.0), (256, 4.0, 4.0)] {
            assert_eq!(scale(None, Some(300), size).unwrap(), sigma);
            assert_eq!(scale(None, Some(120), size).unwrap(), alpha);
            assert_eq!(scale(Some(3.0), Some(300), size).unwrap(), 3.0);
        }
        assert_eq!(scale(None, None, 128).unwrap(), 2.0);
        let error = scale(None, None, 32).unwrap_err().to_string();
        assert!(error.contains("0.5 (Sigma) or 1 (alpha): give --interpolation-scale"), "{error}");
    }
}
