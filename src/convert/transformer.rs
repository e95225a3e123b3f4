//! The transformer's configuration, from the tensors' names and shapes first and from what its source says where they are silent.

use std::collections::BTreeMap;

use serde_json::json;

use super::checkpoint_tensor::Tensors;
use super::json::Config;
use super::keys::count;
use crate::bundle::config::TransformerConfig;
use crate::error::{Error, Result};

/// Every released PixArt has heads of this width.
const HEAD_DIM: usize = 72;
/// Features of a timestep.
const TIME_FEATURES: usize = 256;

/// What the tensors cannot tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints {
    pub heads: Option<usize>,
    pub sample_size: Option<usize>,
    pub interpolation_scale: Option<f64>,
}

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
            interpolation_scale: config.number("interpolation_scale")?,
        })
    }

    /// These, where they say something, and `other` where not.
    pub fn or(self, other: Self) -> Self {
        Self {
            heads: self.heads.or(other.heads),
            sample_size: self.sample_size.or(other.sample_size),
            interpolation_scale: self.interpolation_scale.or(other.interpolation_scale),
        }
    }

    /// From the buffers of an original checkpoint: the position table has a row for each patch of the trained size, and the
    /// empty caption a row for each text token, 300 of them in Sigma, whose scale follows the size even below 512 pixels.
    pub fn from_buffers(tensors: &Tensors) -> Self {
        let shape = |name: &str| tensors.get(name).map(|t| t.shape.as_slice());
        let patch = match shape("x_embedder.proj.weight") {
            Some(&[_, _, patch, _]) => patch,
            _ => return Self::default(),
        };
        let side = match shape("pos_embed") {
            Some(&[1, patches, _]) => Some(patches.isqrt()).filter(|s| s * s == patches),
            _ => None,
        };
        let sample_size = side.map(|s| s * patch);
        let sigma = matches!(shape("y_embedder.y_embedding"), Some(&[300, _]));
        let interpolation_scale = sample_size.filter(|_| sigma).map(|s| s as f64 / 64.0);
        Self { heads: None, sample_size, interpolation_scale }
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
    let config = TransformerConfig {
        layers: count(tensors.keys(), "transformer.transformer_blocks")?,
        heads,
        head_dim: width / heads,
        in_channels,
        out_channels,
        patch_size,
        caption_channels,
        sample_size,
        interpolation_scale: hints.interpolation_scale.unwrap_or((sample_size / 64).max(1) as f64),
        size_conditions: tensors.keys().any(|n| n.contains(".resolution_embedder.")),
    };
    complete(tensors, &config)?;
    Ok(config)
}

/// Every tensor the configuration asks for is there in its shape; routers may be there too; nothing else is.
fn complete(tensors: &Tensors, config: &TransformerConfig) -> Result<()> {
    let wanted = shapes(config);
    for (name, shape) in &wanted {
        let found = tensors.get(name).ok_or_else(|| Error::model(name, "the tensor is missing"))?;
        if found.shape != *shape {
            return Err(Error::model(name, format!("its shape is {:?}, not {shape:?}", found.shape)));
        }
    }
    match tensors.keys().find(|name| !wanted.contains_key(*name) && !name.ends_with(".router.weight")) {
        None => Ok(()),
        Some(name) => Err(Error::model(name, "no PixArt of this configuration has such a tensor")),
    }
}

/// The tensors of a transformer and their shapes.
fn shapes(c: &TransformerConfig) -> BTreeMap<String, Vec<usize>> {
    let (d, p) = (c.width(), c.patch_size);
    let mut all = BTreeMap::new();
    let mut linear = |name: &str, out: usize, input: &[usize]| {
        all.insert(format!("transformer.{name}.weight"), [&[out], input].concat());
        all.insert(format!("transformer.{name}.bias"), vec![out]);
    };
    linear("pos_embed.proj", d, &[c.in_channels, p, p]);
    linear("caption_projection.linear_1", d, &[c.caption_channels]);
    linear("caption_projection.linear_2", d, &[d]);
    let sizes: &[&str] = if c.size_conditions { &["resolution", "aspect_ratio"] } else { &[] };
    for (kind, width) in sizes.iter().map(|kind| (*kind, d / 3)).chain([("timestep", d)]) {
        linear(&format!("adaln_single.emb.{kind}_embedder.linear_1"), width, &[TIME_FEATURES]);
        linear(&format!("adaln_single.emb.{kind}_embedder.linear_2"), width, &[width]);
    }
    linear("adaln_single.linear", 6 * d, &[d]);
    linear("proj_out", p * p * c.out_channels, &[d]);
    for n in 0..c.layers {
        for attention in ["attn1", "attn2"] {
            for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
                linear(&format!("transformer_blocks.{n}.{attention}.{projection}"), d, &[d]);
            }
        }
        linear(&format!("transformer_blocks.{n}.ff.net.0.proj"), 4 * d, &[d]);
        linear(&format!("transformer_blocks.{n}.ff.net.2"), d, &[4 * d]);
    }
    all.insert("transformer.scale_shift_table".into(), vec![2, d]);
    for n in 0..c.layers {
        all.insert(format!("transformer.transformer_blocks.{n}.scale_shift_table"), vec![6, d]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xl_2_has_its_published_size() {
        let xl = TransformerConfig {
            layers: 28,
            heads: 16,
            head_dim: 72,
            in_channels: 4,
            out_channels: 8,
            patch_size: 2,
            caption_channels: 4096,
            sample_size: 128,
            interpolation_scale: 2.0,
            size_conditions: false,
        };
        let shapes = shapes(&xl);
        assert_eq!(shapes.len(), 603);
        assert_eq!(shapes.values().map(|s| s.iter().product::<usize>()).sum::<usize>(), 610_856_096);
    }

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
        assert_eq!((hints.heads, hints.sample_size, hints.interpolation_scale), (Some(16), Some(32), None));
    }
}
