//! What a run starts from: a bundle, with or without its routers, or a fresh model, split into what is trained and what is frozen.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;

use super::config::{Base, Kind, LoraConfig, Sigma, Task, TrainConfig, Variant};
use super::encoding::Encoding;
use super::frozen::Frozen;
use super::init;
use super::lora;
use super::muon::{Matrix, hidden};
use super::net::{Frame, RATIO, Routing, is_router, is_table};
use super::optimizer::{Group, Rate};
use super::parameters::Parameters;
use super::rounding::Rounding;
use super::text_states;
use crate::bundle::config::{
    FeedForward, SchedulerConfig, SolverKind, TextEncoderConfig, TokenizerConfig, TransformerConfig,
};
use crate::bundle::folder::load_folder;
use crate::bundle::manifest::{Part, Parts};
use crate::data::Header;
use crate::data::random::Random;
use crate::device;
use crate::error::{Error, Result};
use crate::files;
use crate::model::ratios::limits;

/// Channels of a picture, and of one with a mask and without its hole.
const PICTURE: usize = 3;
const MASKED: usize = 2 * PICTURE + 1;
/// Streams of the run's seed.
const INIT: u64 = 1;

/// A run before its first step.
#[derive(Debug)]
pub struct Origin {
    pub frame: Frame,
    pub trained: Parameters,
    /// The bytes of `tokenizer.json`.
    pub tokenizer: Vec<u8>,
}

impl Origin {
    /// What is frozen goes to `device`.
    ///
    /// # Errors
    /// Those of the loader; `InvalidInput` on a setting where the model is not one that this trains.
    pub fn new(config: &TrainConfig, kind: Kind, device: &Device) -> Result<Self> {
        let mut random = Random::new(config.seed, INIT);
        let mut learned = None;
        let states = states(config)?;
        let (mut parts, tokenizer, mut trained) = match (&config.from, &config.model) {
            (Some(dir), _) => {
                let parts = [Part::Transformer, Part::Tokenizer, Part::Vae, Part::VaeTiny];
                let mut loaded = load_folder(dir, &device::cpu(), states.then_some(&parts[..]))?;
                let tokenizer = loaded.tokenizer.ok_or_else(|| Error::input("from", "the bundle has no tokenizer"))?;
                let mut values = loaded.weights.into_values()?;
                if config.is_routed(kind) && config.routing.inherit {
                    learned = Some(inherited(config, loaded.manifest.routing.as_ref())?);
                } else {
                    values.retain(|name, _| !is_router(name));
                }
                if states {
                    loaded.manifest.parts.text_encoder = None;
                }
                (loaded.manifest.parts, tokenizer, values)
            }
            (None, _) => {
                let Fresh { parts, tokenizer, encoding, specs } = fresh(config)?;
                let mut tensors = init::make(specs, &mut random);
                let encoder = encoding.views().map(|v| (v.name.to_owned(), (v.shape.to_vec(), v.values.to_vec())));
                tensors.extend(encoder);
                (parts, tokenizer, tensors)
            }
        };
        if config.task == Task::Inpaint && parts.transformer.in_channels == PICTURE {
            if config.lora.is_some() {
                return Err(Error::input(
                    "lora",
                    "adapters cannot teach a model to see masks: start from one that does",
                ));
            }
            widen(&mut trained)?;
            parts.transformer.in_channels = MASKED;
        }
        let tensors = Parameters::new(split_off(&mut trained, "vae"))?;
        let encoding = Encoding { kl: parts.vae.clone(), tiny: parts.vae_tiny.clone(), tensors };
        let t = &parts.transformer;
        if parts.text_encoder.is_none() && !states || parts.tokenizer.is_none() {
            return Err(Error::input("from", "the bundle has no text encoder"));
        }
        if t.in_channels == MASKED && config.task != Task::Inpaint {
            return Err(Error::input("task", "the model in `from` fills holes: its task is inpaint"));
        }
        let drawn = encoding.channels().unwrap_or(PICTURE);
        if encoding.channels().is_some() && config.task == Task::Inpaint {
            return Err(Error::input("task", "only models that draw pixels learn to see masks"));
        }
        if ![drawn, 2 * drawn + 1].contains(&t.in_channels) || t.out_channels < drawn {
            let reason = format!(
                "its transformer reads {} channels and gives {}, where a picture has {drawn}",
                t.in_channels, t.out_channels
            );
            return Err(Error::input("from", reason));
        }
        if config.loss.sigma == Sigma::Vlb && t.out_channels != 2 * drawn {
            let reason =
                format!("`vlb` needs a variance beside the {drawn} channels, the model gives {}", t.out_channels);
            return Err(Error::input("loss.sigma", reason));
        }
        let layers = t.layers;
        let mut frozen = BTreeMap::new();
        if let Some(lora) = &config.lora {
            let adapters = lora::init(&trained, lora, &mut random)?;
            frozen = std::mem::replace(&mut trained, adapters);
        }
        if !config.train_text_encoder {
            frozen.extend(split_off(&mut trained, "text_encoder."));
        }
        let mut routing = None;
        if config.is_routed(kind) {
            if parts.transformer.kv_compression.is_some() {
                let reason = "the model compresses its keys and values, which needs all tokens in every layer: it cannot be routed";
                return Err(Error::input("from", reason));
            }
            let r = &config.routing;
            if learned.is_none() {
                trained.extend(init::make(init::routers(&parts.transformer), &mut random));
            }
            let table = learned.unwrap_or_else(|| vec![1.0; r.regions * layers]);
            let uniform = (r.variant == Variant::Mod).then_some(1.0 - r.compression);
            let start = uniform.unwrap_or_else(|| mean(&table));
            if uniform.is_none() {
                trained.insert(RATIO.into(), (vec![r.regions, layers], table));
            }
            routing = Some(Routing { bins: r.bins.clone(), regions: r.regions, gain: r.score_gain, uniform, start });
        }
        let frame = Frame {
            parts,
            frozen: Frozen::new(frozen, config.lora.as_ref().map_or_else(Base::default, |l| l.base), device),
            lora_scale: config.lora.as_ref().map_or(1.0, LoraConfig::scale),
            routing,
            rounding: config.quantize.as_ref().map(Rounding::new),
            encoding,
        };
        device::memory::give_back();
        Ok(Self { frame, trained: Parameters::new(trained)?, tokenizer })
    }
}

/// Whether captions come as states, from the text encoder of the bundle that the run starts from, which stays as it is.
///
/// # Errors
/// `InvalidInput` where the run asks for more of the encoder than its states.
fn states(config: &TrainConfig) -> Result<bool> {
    let Some(text) = Header::read(Path::new(&config.source))?.and_then(|header| header.text) else { return Ok(false) };
    let Some(from) = &config.from else {
        return Err(Error::input(
            "source",
            "its captions are states of a text encoder: start from a bundle that has it",
        ));
    };
    if config.train_text_encoder && config.lora.is_none() {
        return Err(Error::input("trainTextEncoder", "the cache has its states as they were: set it to false"));
    }
    if !config.progress.prompts.is_empty() {
        return Err(Error::input("progress.prompts", "cannot be drawn: a run from text states has no text encoder"));
    }
    text_states::check(from, &text)?;
    Ok(true)
}

/// Takes the tensors out whose names begin so.
fn split_off(tensors: &mut init::Tensors, prefix: &str) -> init::Tensors {
    let (taken, kept) = std::mem::take(tensors).into_iter().partition(|(name, _)| name.starts_with(prefix));
    *tensors = kept;
    taken
}

/// Gives the patch embedding the channels of a mask and of the picture without its hole; they say nothing yet.
fn widen(trained: &mut init::Tensors) -> Result<()> {
    let name = "transformer.pos_embed.proj.weight";
    let (shape, values) = trained.get_mut(name).ok_or_else(|| Error::model(name, "the model has none"))?;
    let &mut [width, channels, p, q] = &mut shape[..] else {
        return Err(Error::model(name, format!("its shape is {shape:?}")));
    };
    let wide = MASKED * p * q;
    let mut widened = vec![0.0; width * wide];
    for (new, old) in widened.chunks_mut(wide).zip(values.chunks(channels * p * q)) {
        new[..old.len()].copy_from_slice(old);
    }
    (*shape, *values) = (vec![width, MASKED, p, q], widened);
    Ok(())
}

/// The ratios that a routed bundle learned, `[regions, layers]` in rows, within the run's bins.
fn inherited(config: &TrainConfig, routing: Option<&crate::bundle::routing::Routing>) -> Result<Vec<f32>> {
    let fault = |reason: String| Error::input("routing.inherit", reason);
    let routing = routing.ok_or_else(|| fault("the bundle in `from` has no routers".into()))?;
    let r = &config.routing;
    if routing.regions != r.regions {
        return Err(fault(format!("the bundle has {} regions, the run {}", routing.regions, r.regions)));
    }
    if routing.score_gain != r.score_gain {
        return Err(fault(format!("the bundle has scoreGain {}, the run {}", routing.score_gain, r.score_gain)));
    }
    let preset = routing.presets.iter().find(|p| p.name == routing.default);
    let preset = preset.ok_or_else(|| fault("the bundle has no default preset".into()))?;
    let (most, least) = limits(&r.bins);
    Ok(preset.keep.iter().flatten().map(|k| k.clamp(least, most) as f32).collect())
}

/// Of a table of ratios; 1 where it is empty.
pub fn mean(ratios: &[f32]) -> f64 {
    if ratios.is_empty() { 1.0 } else { ratios.iter().map(|&r| f64::from(r)).sum::<f64>() / ratios.len() as f64 }
}

/// The optimizer's groups: ratios at a rate of their own, decay for matrices alone.
pub fn groups(trained: &Parameters, config: &TrainConfig) -> Vec<Group> {
    let muon = config.optimizer.muon.is_some();
    let group = |name: &str, shape: &[usize]| {
        let range = trained.range(name).unwrap_or_default();
        if name == RATIO {
            return Group { range, rate: Rate::Own(config.routing.ratio_rate), weight_decay: 0.0, clipped: false };
        }
        if name.ends_with("relative_attention_bias.weight") {
            return Group { range, rate: Rate::Own(config.optimizer.relative_bias), weight_decay: 0.0, clipped: true };
        }
        let decays = shape.len() > 1 && !is_table(name);
        let weight_decay = if decays { config.optimizer.weight_decay } else { 0.0 };
        Group { range, rate: Rate::Stage, weight_decay, clipped: true }
    };
    trained.views().filter(|v| !(muon && hidden(v.name, v.shape).is_some())).map(|v| group(v.name, v.shape)).collect()
}

/// What Muon updates instead of AdamW.
pub fn matrices(trained: &Parameters, config: &TrainConfig) -> Vec<Matrix> {
    let views = trained.views().filter(|_| config.optimizer.muon.is_some());
    views.filter_map(|v| Some(Matrix { range: trained.range(v.name)?, shape: hidden(v.name, v.shape)? })).collect()
}

/// A new model, before it has numbers.
pub struct Fresh {
    pub parts: Parts,
    /// The bytes of `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// The autoencoder's tensors.
    pub encoding: Parameters,
    pub specs: Vec<init::Spec>,
}

/// A new model of the shape that `config.model` gives.
///
/// # Errors
/// `InvalidInput` naming a setting, and what the files of tokenizer and autoencoder say.
pub fn fresh(config: &TrainConfig) -> Result<Fresh> {
    let m = config.model.as_ref().ok_or_else(|| Error::input("model", "give it, or a bundle in `from`"))?;
    let stage = config.stages()?.first().copied().ok_or_else(|| Error::input("stage", "there is none"))?;
    let bytes = files::read(&m.tokenizer)?;
    let fault = |reason: String| Error::input("model.tokenizer", reason);
    let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| fault(e.to_string()))?;
    let special = |content: &str| {
        let added = json.get("added_tokens").and_then(|a| a.as_array()).into_iter().flatten();
        let id = added.filter(|t| t.get("content").is_some_and(|c| c == content)).find_map(|t| t.get("id")?.as_u64());
        id.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| fault(format!("it has no {content} token")))
    };
    let ids =
        json.pointer("/model/vocab").and_then(|v| v.as_object()).ok_or_else(|| fault("it has no word list".into()))?;
    let highest = ids.values().filter_map(|id| id.as_u64()).max().unwrap_or(0);
    let tokenizer = TokenizerConfig {
        file: "tokenizer.json".into(),
        max_length: m.max_tokens,
        pad_id: special("<pad>")?,
        eos_id: special("</s>")?,
    };
    let text_encoder = TextEncoderConfig {
        vocab_size: highest as usize + 1,
        d_model: m.text_width,
        d_kv: m.text_width / m.text_heads,
        heads: m.text_heads,
        d_ff: m.text_mlp,
        layers: m.text_layers,
        relative_buckets: 32,
        relative_max_distance: 128,
        layer_norm_eps: 1e-6,
        feed_forward: FeedForward::GatedGelu,
    };
    let encoding = m.autoencoder.as_deref().map(Encoding::open).transpose()?.unwrap_or_default();
    let (channels, scale) = (encoding.channels().unwrap_or(PICTURE), encoding.scale());
    let transformer = TransformerConfig {
        layers: m.layers,
        heads: m.heads,
        head_dim: m.head_dim,
        in_channels: channels,
        out_channels: channels,
        patch_size: m.patch,
        caption_channels: m.text_width,
        sample_size: stage.size / scale,
        interpolation_scale: stage.scale,
        size_conditions: false,
        qk_norm: false,
        kv_compression: None,
    };
    let scheduler = SchedulerConfig { prediction: m.prediction, solver: SolverKind::DpmSolver2M, ..Default::default() };
    let mut specs = init::transformer(&transformer);
    specs.extend(init::text_encoder(&text_encoder));
    let parts = Parts {
        transformer,
        text_encoder: Some(text_encoder),
        tokenizer: Some(tokenizer),
        vae: encoding.kl,
        vae_tiny: encoding.tiny,
        scheduler,
    };
    Ok(Fresh { parts, tokenizer: bytes, encoding: encoding.tensors, specs })
}
