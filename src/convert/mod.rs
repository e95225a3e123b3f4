//! Checkpoints become bundles.
//!
//! ```text
//! SRC ─ checkpoint* (names, shapes, places) ─ keys* (our names) ─ transformer, text_encoder, vae, scheduler (configurations)
//!     ─ policy (an encoding for each tensor), quantize
//!     ─ shard (read, encode, write, hash: one chunk at a time) ─ output (a folder that appears whole, or not at all)
//! ```

mod all_in_one;
pub mod checkpoint;
mod checkpoint_file;
pub mod checkpoint_tensor;
mod components;
mod copy;
mod from_bundle;
mod gguf;
mod json;
mod keys;
mod keys_pixart;
mod keys_t5;
mod keys_vae;
mod kind;
pub mod lora;
mod low_rank;
mod model;
mod options;
pub mod output;
mod packing;
mod pickle;
pub mod policy;
pub mod progress;
pub mod quality;
pub mod quantize;
pub mod random;
mod rechunk;
mod routing;
mod safetensors_file;
mod scheduler;
pub mod shard;
mod source;
mod spiece;
mod taesd;
mod text_encoder;
mod tokenizer;
mod torch;
mod transformer;
pub mod vae;

use std::collections::BTreeMap;
use std::path::Path;

use crate::bundle::folder::write_manifest;
use crate::bundle::manifest::{FORMAT, Manifest, Part, Provenance};
use crate::bundle::whole;
use crate::error::{Error, Result};
use checkpoint_tensor::{CheckpointTensor, Tensors};
pub use keys_pixart::{LAST_TABLE, original_layers};
pub use model::SourceModel;
pub use options::{ConvertOptions, Places, Probe};
use output::OutputFolder;
use progress::Progress;
use shard::{Loss, ShardPlan, Tally};

/// A bundle, and what encoding it cost.
#[derive(Debug)]
pub struct Converted {
    pub manifest: Manifest,
    /// Tensors that were quantized.
    pub losses: BTreeMap<String, Loss>,
    /// The transformer of the bundle against the source's, where `options.probe` asked for it and something was quantized.
    pub psnr: Option<f64>,
    /// What was chosen or left aside, for people to know.
    pub notes: Vec<String>,
}

/// Converts `options.src`; the bundle is then at `options.out`.
///
/// Fails with `MODEL_INVALID` on a tensor or a setting that is not PixArt's, `INTEGRITY` on a damaged file, `INVALID_INPUT` on an
/// argument, `CANCELLED` when `progress` says so; whatever fails, nothing is left behind.
pub fn convert(options: &ConvertOptions, progress: &mut dyn Progress) -> Result<Converted> {
    if let (Ok(src), Ok(out)) = (options.src.canonicalize(), options.out.canonicalize())
        && src.starts_with(&out)
    {
        return Err(Error::input("out", format!("{} holds the source", options.out.display())));
    }
    let output = OutputFolder::create(&options.out, options.force)?;
    if rechunk::is_wanted(options)? {
        let mut manifest = rechunk::rechunk(options, output.dir(), progress)?;
        if let Some(name) = &options.name {
            manifest.name.clone_from(name);
        }
        manifest.license = options.license.clone().or(manifest.license);
        let manifest = write_manifest(output.dir(), manifest)?;
        output.finish()?;
        return Ok(Converted { manifest, losses: BTreeMap::new(), psnr: None, notes: vec![] });
    }
    let mut model = source::open(options)?;
    for adapter in &options.loras {
        lora::merge(adapter, &mut model.transformer)?;
    }
    if let Some(path) = &options.routers {
        model.routing = Some(routing::from_file(path, &mut model.transformer, &model.parts.transformer)?);
    }
    if let Some(path) = &options.vae_tiny {
        let (config, tensors) = vae::tiny(path, model.parts.transformer.latent_channels())?;
        model.parts.vae_tiny = Some(config);
        model.vae_tiny = tensors;
    }
    let (manifest, losses) = write(&model, options, &output, progress)?;
    let parameters: usize = model.transformer.values().map(CheckpointTensor::elements).sum();
    let is_large = options.probe == Probe::Small && parameters > Probe::MAX_PARAMETERS;
    if is_large && !losses.is_empty() {
        model
            .notes
            .push("the transformer was not run before and after, which takes it in f32 in memory: --probe does".into());
    }
    let probed = !losses.is_empty() && options.probe != Probe::Never && !is_large;
    let psnr = probed.then(|| quality::psnr(&model, output.dir())).transpose()?;
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    output.finish()?;
    Ok(Converted { manifest, losses, psnr, notes: model.notes })
}

/// Writes `model` as the bundle `options.out`; of the other options, those about sources are not read.
///
/// Fails as [`convert`] does.
pub fn bundle(model: &SourceModel, options: &ConvertOptions, progress: &mut dyn Progress) -> Result<Manifest> {
    let output = OutputFolder::create(&options.out, options.force)?;
    let (manifest, _) = write(model, options, &output, progress)?;
    output.finish()?;
    Ok(manifest)
}

/// As [`bundle`], with the text encoder and the tokenizer of the bundle in `from`, byte for byte.
///
/// # Errors
/// As [`convert`], and what the files of `from` say.
pub fn bundle_with_text(
    model: &SourceModel,
    from: &Path,
    options: &ConvertOptions,
    progress: &mut dyn Progress,
) -> Result<Manifest> {
    let output = OutputFolder::create(&options.out, options.force)?;
    let (mut manifest, _) = write(model, options, &output, progress)?;
    copy::text_encoder(from, output.dir(), &mut manifest)?;
    let manifest = write_manifest(output.dir(), manifest)?;
    output.finish()?;
    Ok(manifest)
}

type Written = (Manifest, BTreeMap<String, Loss>);

/// Writes the files of `model`, the manifest last.
fn write(
    model: &SourceModel,
    options: &ConvertOptions,
    output: &OutputFolder,
    progress: &mut dyn Progress,
) -> Result<Written> {
    let parts: [(Part, &Tensors); 4] = [
        (Part::Transformer, &model.transformer),
        (Part::TextEncoder, &model.text_encoder),
        (Part::Vae, &model.vae),
        (Part::VaeTiny, &model.vae_tiny),
    ];
    let plans = parts.iter().map(|(part, tensors)| shard::plan(*part, tensors, &options.policy, options.chunk_bytes));
    let plans = plans.collect::<Result<Vec<_>>>()?;
    let total = plans.iter().map(ShardPlan::bytes).sum();
    let mut manifest = Manifest {
        format: FORMAT.into(),
        format_version: Manifest::version_for(&model.parts),
        name: options.name.clone().unwrap_or_else(|| stem(options)),
        version: String::new(),
        license: options.license.clone(),
        provenance: Provenance {
            source: model.source.into(),
            converter: concat!("diffcr ", env!("CARGO_PKG_VERSION")).into(),
        },
        files: vec![],
        parts: model.parts.clone(),
        tensors: plans.iter().flat_map(ShardPlan::entries).collect(),
        routing: model.routing.clone(),
    };
    whole::check(&manifest)?;
    let mut tally = Tally { total, ..Default::default() };
    for plan in &plans {
        manifest.files.extend(plan.write(output.dir(), &mut tally, progress)?);
    }
    if let Some(bytes) = &model.tokenizer {
        manifest.files.push(shard::write_file(output.dir(), tokenizer::FILE, Part::Tokenizer, bytes)?);
    }
    Ok((write_manifest(output.dir(), manifest)?, tally.losses))
}

fn stem(options: &ConvertOptions) -> String {
    let path = options.src.canonicalize().unwrap_or_else(|_| options.src.clone());
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}
