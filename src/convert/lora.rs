//! LoRA adapters: whatever their trainer calls a layer, its product is added to the layer's weight.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;

use super::checkpoint;
use super::checkpoint_tensor::{CheckpointTensor, Tensors};
use super::json::Config;
use super::keys::numbered;
use super::keys_pixart;
use super::low_rank::LowRank;
use crate::error::{Error, Result};

/// An adapter, and how much of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    pub path: PathBuf,
    pub scale: f32,
}

impl FromStr for Adapter {
    type Err = String;

    /// Reads `FILE` or `FILE:SCALE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let scaled = text.rsplit_once(':').and_then(|(path, scale)| Some((path, scale.parse::<f32>().ok()?)));
        let (path, scale) = scaled.unwrap_or((text, 1.0));
        if path.is_empty() || !scale.is_finite() {
            return Err("use FILE or FILE:SCALE".into());
        }
        Ok(Self { path: path.into(), scale })
    }
}

/// Prefixes of the transformer's layers: diffusers' and PEFT's, then kohya's and OneTrainer's, which write `_` for `.`.
const DOTTED: [&str; 6] = ["base_model.model.", "transformer.", "unet.", "model.", "diffusion_model.", "module."];
const FLAT: [&str; 3] = ["lora_unet_", "lora_transformer_", "lora_prior_"];
/// How the two matrices end.
const DOWN: [&str; 3] = ["lora_A", "lora_down", "lora.down"];
const UP: [&str; 3] = ["lora_B", "lora_up", "lora.up"];

/// One layer's adapter on its way.
#[derive(Debug, Default)]
struct Layer {
    down: Option<CheckpointTensor>,
    up: Option<CheckpointTensor>,
    alpha: Option<f32>,
}

/// Adds `adapter` to the weights of `transformer` (under our names). What it holds for the text encoder is left aside, and an adapter that
/// holds nothing else is refused.
///
/// # Errors
/// `ModelInvalid` naming a tensor that is of another kind of adapter, or that fits no layer.
pub fn merge(adapter: &Adapter, transformer: &mut Tensors) -> Result<()> {
    let (file, config) = open(&adapter.path)?;
    let targets = targets(transformer);
    let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
    for (name, tensor) in file {
        let (layer, field) = split(&name)?;
        if is_text_encoders(layer) {
            continue;
        }
        let entry = layers.entry(layer.to_owned()).or_default();
        match field {
            Field::Down => entry.down = Some(tensor),
            Field::Up => entry.up = Some(tensor),
            Field::Alpha => entry.alpha = tensor.read()?.first().copied(),
        }
    }
    if layers.is_empty() {
        return Err(Error::input("lora", format!("{} holds nothing for the transformer", adapter.path.display())));
    }
    for (name, layer) in layers {
        let Layer { down: Some(down), up: Some(up), alpha } = layer else {
            return Err(Error::model(name, "one of the adapter's two matrices is missing"));
        };
        let rank = down.shape.first().copied().unwrap_or(0);
        let alpha = alpha.map_or(1.0, |alpha| alpha / rank as f32);
        let scale = adapter.scale * config.as_ref().map_or(Ok(alpha), |config| peft_scale(config, rank))?;
        let ours = targets.get(&key(&name)).ok_or_else(|| Error::model(&name, "the transformer has no such layer"))?;
        let rows = up.shape.first().copied().unwrap_or(0);
        if rows % ours.len() != 0 {
            return Err(Error::model(&name, format!("{rows} rows are not {} equal shares", ours.len())));
        }
        let share = rows / ours.len();
        for (i, ours) in ours.iter().enumerate() {
            let product = LowRank::new(up.rows(i * share, share)?, down.clone(), scale)?;
            let weight = transformer.remove(ours).ok_or_else(|| Error::model(ours, "the tensor is missing"))?;
            transformer.insert(ours.clone(), weight.plus(Rc::new(product))?);
        }
    }
    Ok(())
}

/// The adapter's tensors, and PEFT's configuration where it lies beside them.
fn open(path: &Path) -> Result<(Tensors, Option<Config>)> {
    let file = match path.is_dir() {
        true => ["adapter_model.safetensors", "pytorch_lora_weights.safetensors", "adapter_model.bin"]
            .map(|name| path.join(name))
            .into_iter()
            .find(|file| file.is_file())
            .ok_or_else(|| Error::input("lora", format!("{} holds no adapter_model.safetensors", path.display())))?,
        false => path.to_owned(),
    };
    let config = file.with_file_name("adapter_config.json");
    let is_pefts = file.file_stem().is_some_and(|stem| stem == "adapter_model") && config.is_file();
    let config = is_pefts.then(|| Config::read(&config)).transpose()?;
    if let Some(config) = &config {
        config.only("use_dora", &[false.into()])?;
        config.only("bias", &["none".into()])?;
        config.only("rank_pattern", &[serde_json::json!({})])?;
        config.only("alpha_pattern", &[serde_json::json!({})])?;
    }
    Ok((checkpoint::open(&file)?, config))
}

/// `lora_alpha` over the rank, or over its root (rsLoRA).
fn peft_scale(config: &Config, rank: usize) -> Result<f32> {
    let alpha = config.number("lora_alpha")?.unwrap_or(rank as f64);
    let rank = if config.get("use_rslora") == Some(&true.into()) { (rank as f64).sqrt() } else { rank as f64 };
    Ok((alpha / rank) as f32)
}

/// What a tensor is to its layer.
#[derive(Debug, PartialEq)]
enum Field {
    Down,
    Up,
    Alpha,
}

/// The layer's name in the adapter, and what the tensor is to it.
fn split(name: &str) -> Result<(&str, Field)> {
    if let Some(layer) = name.strip_suffix(".alpha") {
        return Ok((layer, Field::Alpha));
    }
    if name.contains("dora_scale") || name.contains("lora_magnitude_vector") {
        return Err(Error::model(name, "a DoRA adapter, which is not merged: merge it with its trainer"));
    }
    let stem = name.strip_suffix(".weight").map(|stem| stem.strip_suffix(".default").unwrap_or(stem));
    let found = stem.and_then(|stem| {
        let of = |ends: [&str; 3]| ends.iter().find_map(|end| stem.strip_suffix(end)?.strip_suffix('.'));
        of(DOWN).map(|layer| (layer, Field::Down)).or_else(|| of(UP).map(|layer| (layer, Field::Up)))
    });
    found.ok_or_else(|| Error::model(name, "no tensor of a LoRA adapter is called so"))
}

fn is_text_encoders(layer: &str) -> bool {
    ["lora_te", "text_encoder.", "base_model.model.text_encoder."].iter().any(|prefix| layer.starts_with(prefix))
}

/// A layer's name without what stands before it, with `_` for `.`, as kohya writes all of them.
fn key(name: &str) -> String {
    if let Some(flat) = FLAT.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        return flat.replace('.', "_");
    }
    let mut name = name;
    while let Some(rest) = DOTTED.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name.replace('.', "_")
}

/// Our weights by the names that an adapter may have for their layers, diffusers' and the original's.
fn targets(transformer: &Tensors) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let layers = transformer.keys().filter_map(|name| name.strip_prefix("transformer.")?.strip_suffix(".weight"));
    for layer in layers {
        found.insert(layer.replace('.', "_"), vec![format!("transformer.{layer}.weight")]);
    }
    let numbers = transformer.keys().filter_map(|name| Some(numbered(name, "transformer.transformer_blocks")?.0));
    for (layer, ours) in keys_pixart::original_layers(numbers.max().map_or(0, |n| n + 1)) {
        let ours = ours.iter().map(|name| format!("transformer.{name}.weight")).collect();
        found.insert(layer.replace('.', "_"), ours);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trainers_names_are_split() {
        for (name, layer, field) in [
            (
                "transformer.transformer_blocks.0.attn1.to_q.lora_A.weight",
                "transformer_blocks_0_attn1_to_q",
                Field::Down,
            ),
            (
                "base_model.model.transformer_blocks.0.ff.net.2.lora_B.default.weight",
                "transformer_blocks_0_ff_net_2",
                Field::Up,
            ),
            (
                "unet.transformer_blocks.0.attn2.to_out.0.lora.up.weight",
                "transformer_blocks_0_attn2_to_out_0",
                Field::Up,
            ),
            (
                "lora_unet_transformer_blocks_0_attn1_to_q.lora_down.weight",
                "transformer_blocks_0_attn1_to_q",
                Field::Down,
            ),
            ("lora_transformer_transformer_blocks_0_attn1_to_q.alpha", "transformer_blocks_0_attn1_to_q", Field::Alpha),
            ("lora_unet_blocks_3_attn_qkv.lora_up.weight", "blocks_3_attn_qkv", Field::Up),
        ] {
            let (found, kind) = split(name).unwrap();
            assert_eq!((key(found).as_str(), kind), (layer, field));
        }
        let dora = split("lora_unet_blocks_3_attn_qkv.dora_scale").unwrap_err().to_string();
        assert!(dora.contains("DoRA"), "{dora}");
        assert!(split("transformer_blocks.0.attn1.to_q.lora_B.bias").is_err());
        assert!(is_text_encoders("lora_te1_encoder_block_0_layer_0_SelfAttention_q"));
    }

    #[test]
    fn a_scale_follows_the_file() {
        let of = |text: &str| text.parse::<Adapter>();
        assert_eq!(of("a.safetensors").unwrap(), Adapter { path: "a.safetensors".into(), scale: 1.0 });
        assert_eq!(of("a:b.safetensors:0.5").unwrap(), Adapter { path: "a:b.safetensors".into(), scale: 0.5 });
        assert!(of(":1").is_err() && of("a:nan").is_err());
    }
}
