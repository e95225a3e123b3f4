//! Foreign checkpoints become bundles.
//!
//! ```text
//! SRC ─ foreign (names, shapes, places) ─ keys* (our names) ─ transformer, text_encoder, vae, scheduler (configurations)
//!     ─ shard (read, encode, write, hash: one chunk at a time) ─ output (a folder that appears whole, or not at all)
//! ```

pub mod foreign;
mod json;
mod keys;
mod keys_pixart;
mod keys_t5;
mod keys_vae;
mod output;
mod pickle;
mod routing;
mod scheduler;
pub mod shard;
mod source;
mod spiece;
mod text_encoder;
mod tokenizer;
mod torch;
mod transformer;
mod vae;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::bundle::load::hex;
use crate::bundle::manifest::{FORMAT, FORMAT_VERSION, MANIFEST_FILE, Manifest, Part, Provenance};
use crate::error::{Error, Result};
use foreign::Tensors;
use output::Output;
use shard::{Policy, Watch};
use source::Model;

/// What to convert, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// A diffusers folder, or a checkpoint file of the transformer alone.
    pub src: PathBuf,
    /// The folder the bundle becomes.
    pub out: PathBuf,
    /// Replaces a bundle that is there.
    pub force: bool,
    /// The bundle's name; the source's by default.
    pub name: Option<String>,
    pub license: Option<String>,
    pub policy: Policy,
    /// Bytes of a chunk, at most.
    pub chunk_bytes: u64,
    /// Routers and keep ratios in a file of their own.
    pub routers: Option<PathBuf>,
    /// A tiny autoencoder.
    pub vae_tiny: Option<PathBuf>,
    pub without_text_encoder: bool,
    pub without_vae: bool,
    /// Attention heads, where the source does not tell.
    pub heads: Option<usize>,
    /// Latent side the model was trained for, where the source does not tell.
    pub sample_size: Option<usize>,
}

/// Converts `options.src`; returns the manifest of the bundle that is now at `options.out`.
///
/// Fails with `MODEL_INVALID` on a tensor or a setting that is not PixArt's, `INTEGRITY` on a damaged file, `INVALID_INPUT` on an
/// argument, `CANCELLED` when `watch` says so; whatever fails, nothing is left behind.
pub fn convert(options: &Options, watch: &mut dyn Watch) -> Result<Manifest> {
    if let (Ok(src), Ok(out)) = (options.src.canonicalize(), options.out.canonicalize())
        && src.starts_with(&out)
    {
        return Err(Error::input("out", format!("{} holds the source", options.out.display())));
    }
    let output = Output::create(&options.out, options.force)?;
    let mut model = source::open(options)?;
    if let Some(path) = &options.routers {
        model.routing = Some(routing::from_file(path, &mut model.transformer, &model.parts.transformer)?);
    }
    if let Some(path) = &options.vae_tiny {
        let (config, tensors) = vae::tiny(path)?;
        model.parts.vae_tiny = Some(config);
        model.vae_tiny = tensors;
    }
    let manifest = write(&model, options, &output, watch)?;
    if watch.cancelled() {
        return Err(Error::Cancelled);
    }
    output.finish()?;
    Ok(manifest)
}

/// Writes the files of `model`, the manifest last.
fn write(model: &Model, options: &Options, output: &Output, watch: &mut dyn Watch) -> Result<Manifest> {
    let parts: [(Part, &Tensors); 4] = [
        (Part::Transformer, &model.transformer),
        (Part::TextEncoder, &model.text_encoder),
        (Part::Vae, &model.vae),
        (Part::VaeTiny, &model.vae_tiny),
    ];
    let plans = parts.iter().map(|(part, tensors)| shard::plan(*part, tensors, options.policy, options.chunk_bytes));
    let plans = plans.collect::<Result<Vec<_>>>()?;
    let total = plans.iter().map(shard::Plan::bytes).sum();
    let mut manifest = Manifest {
        format: FORMAT.into(),
        format_version: FORMAT_VERSION,
        name: options.name.clone().unwrap_or_else(|| stem(options)),
        version: String::new(),
        license: options.license.clone(),
        provenance: Provenance {
            source: model.source.into(),
            converter: concat!("diffcr ", env!("CARGO_PKG_VERSION")).into(),
        },
        files: vec![],
        parts: model.parts.clone(),
        tensors: plans.iter().flat_map(shard::Plan::entries).collect(),
        routing: model.routing.clone(),
    };
    let mut done = 0;
    for plan in &plans {
        manifest.files.extend(plan.write(output.dir(), &mut done, total, watch)?);
    }
    if let Some(bytes) = &model.tokenizer {
        manifest.files.push(shard::write_file(output.dir(), tokenizer::FILE, Part::Tokenizer, bytes)?);
    }
    manifest.version = version(&manifest);
    let json = serde_json::to_string_pretty(&manifest).map_err(|e| Error::internal(e.to_string()))?;
    // What is written must be what is read: the manifest's own checks run on it before anyone sees it.
    let manifest = Manifest::parse(&json)?;
    let path = output.dir().join(MANIFEST_FILE);
    std::fs::write(&path, json + "\n").map_err(|e| Error::io(&path, e))?;
    Ok(manifest)
}

/// 16 hex digits that change with any file.
fn version(manifest: &Manifest) -> String {
    let mut hash = Sha256::new();
    for file in &manifest.files {
        hash.update(file.path.as_bytes());
        hash.update(file.sha256.as_bytes());
    }
    hex(&hash.finalize()).chars().take(16).collect()
}

fn stem(options: &Options) -> String {
    let path = options.src.canonicalize().unwrap_or_else(|_| options.src.clone());
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}
