//! The end of a run: its averaged weights, merged and with their routing, become a bundle.

use std::collections::HashMap;

use serde_json::Value;

use super::config::{Kind, TrainConfig};
use super::files::{self, write};
use super::lora;
use super::net::{Frame, RATIO};
use super::objective::Exported;
use super::parameters::Parameters;
use crate::bundle::manifest::Manifest;
use crate::bundle::routing::{Preset, Routing, ScoreScale};
use crate::convert::policy::{Policy, Scheme};
use crate::convert::progress::Progress;
use crate::convert::{self, ConvertOptions, Probe, SourceModel, checkpoint};
use crate::error::{Error, Result};
use crate::model::ratios::{Compression, KeepTable, MAX_SHARE};

/// The preset that a run's own ratios become.
const LEARNED: &str = "learned";
/// Presets beside it: the learned table stretched to this share of its compression.
const STRETCHED: [(&str, f64); 2] = [("quality", 0.5), ("fast", 1.5)];
/// Bytes of a chunk, at most.
const CHUNK_BYTES: u64 = 1 << 20;

/// What a run leaves.
pub struct Trained<'a> {
    pub frame: &'a Frame,
    /// Its averaged weights.
    pub average: &'a Parameters,
    /// `tokenizer.json`.
    pub tokenizer: &'a [u8],
}

/// What the run's outcome is called: as it says, or as its folder.
fn name(config: &TrainConfig) -> Option<String> {
    config.name.clone().or_else(|| config.out.file_name().map(|n| n.to_string_lossy().into_owned()))
}

/// Writes the folder of one network, `config.out`: `settings` as `config.json`, and the weights without `prefix` in front of their names as
/// the safetensors file `weights`.
///
/// # Errors
/// `Io` naming a file.
pub fn network(
    config: &TrainConfig,
    settings: &Value,
    weights: &str,
    average: &Parameters,
    prefix: &str,
) -> Result<Exported> {
    let out = &config.out;
    std::fs::create_dir_all(out).map_err(|e| Error::io(out, e))?;
    files::replace(&out.join("config.json"), format!("{settings:#}\n").as_bytes())?;
    let path = out.join(weights);
    let bare = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    let tensors = average.views().map(|v| (bare(v.name), v.shape.to_vec(), v.values));
    write(&path, tensors, Some(HashMap::from([("format".to_owned(), "pt".to_owned())])))?;
    let bytes = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?.len();
    Ok(Exported { name: name(config).unwrap_or_default(), version: None, bytes })
}

/// Writes the bundle `config.out`; a bundle that is there is replaced. `weights` is left beside the checkpoint.
///
/// # Errors
/// As the converter's.
pub fn export(config: &TrainConfig, kind: Kind, run: Trained, progress: &mut dyn Progress) -> Result<Manifest> {
    let Trained { frame, average, tokenizer } = run;
    if let Some((lora, out)) = config.lora.as_ref().and_then(|lora| Some((lora, lora.out.as_ref()?))) {
        let base = config.from.as_ref().map(|from| from.to_string_lossy().into_owned()).unwrap_or_default();
        lora::write(out, lora, &base, &frame.frozen, average)?;
    }
    let merged = lora::merge(&frame.frozen, average, frame.lora_scale)?;
    let path = config.work.join("weights.safetensors");
    let trained = average.views().filter(|v| v.name != RATIO && !lora::is_factor(v.name));
    let trained = trained.chain(frame.encoding.tensors.views());
    let trained = trained.map(|v| (v.name.to_owned(), v.shape.to_vec(), v.values));
    let merged = merged.iter().map(|(name, (shape, values))| (name.clone(), shape.clone(), &values[..]));
    write(&path, trained.chain(merged), None)?;

    let tensors = checkpoint::open(&path)?;
    let part = |prefix: &str| tensors.clone().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    let mut model = SourceModel {
        source: "diffcr-train",
        parts: frame.parts.clone(),
        transformer: part("transformer."),
        text_encoder: part("text_encoder."),
        vae: part("vae."),
        vae_tiny: part("vae_tiny."),
        tokenizer: Some(tokenizer.to_vec()),
        routing: config.is_routed(kind).then(|| routing(config, frame, average)).transpose()?,
        notes: vec![],
    };
    let options = ConvertOptions {
        src: path,
        out: config.out.clone(),
        force: true,
        name: name(config),
        license: config.license.clone(),
        policy: Policy::new(Scheme::F16),
        encoded: true,
        probe: Probe::Never,
        chunk_bytes: CHUNK_BYTES,
        routers: None,
        vae_tiny: None,
        solver: None,
        places: convert::Places::default(),
        loras: vec![],
        without_text_encoder: false,
        without_vae: false,
        heads: None,
        sample_size: None,
        interpolation_scale: None,
        vae_scaling_factor: None,
        ema: false,
    };
    match &config.from {
        Some(from) if frame.parts.text_encoder.is_none() => {
            // The run had states of that text encoder, which goes with the model as it is.
            (model.parts.tokenizer, model.tokenizer) = (None, None);
            convert::bundle_with_text(&model, from, &options, progress)
        }
        _ => convert::bundle(&model, &options, progress),
    }
}

/// The table as it was learned, and its stretched presets.
fn routing(config: &TrainConfig, frame: &Frame, average: &Parameters) -> Result<Routing> {
    let r = &config.routing;
    let layers = frame.parts.transformer.layers;
    let keep: Vec<Vec<f64>> = match average.get(RATIO) {
        Some(view) => view.values.chunks(layers).map(|row| row.iter().map(|&v| rounded(v)).collect()).collect(),
        None => vec![vec![1.0 - r.compression; layers]; r.regions],
    };
    let mut bins = r.bins.clone();
    if average.get(RATIO).is_none() {
        // A uniform ratio is run as it was trained, whether it is a bin or not.
        bins.push(1.0 - r.compression);
        bins.sort_by(|a, b| b.total_cmp(a));
        bins.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
    }
    let learned = Preset { name: LEARNED.into(), keep, dense_steps: 0.0 };
    let mut routing = Routing {
        bins,
        regions: r.regions,
        score_scale: ScoreScale::Mlp,
        score_gain: r.score_gain,
        presets: vec![learned],
        default: LEARNED.into(),
    };
    let share = 1.0 - KeepTable::new(&routing, &Compression::default(), 1)?.mean();
    for (name, stretch) in STRETCHED {
        let share = (share * stretch).min(MAX_SHARE);
        let keep = KeepTable::new(&routing, &Compression::Share(share), 1)?.table().to_vec();
        routing.presets.push(Preset { name: name.into(), keep, dense_steps: 0.0 });
    }
    Ok(routing)
}

/// A ratio to four decimals: finer is noise.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}
