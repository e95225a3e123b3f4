//! TAESD's own files: an encoder and a decoder apart, often of several autoencoders in one folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::checkpoint_tensor::Tensors;
use super::keys_vae::taesd_half;
use crate::error::{Error, Result};

/// Endings of the files, by preference.
const ENDINGS: [&str; 4] = ["safetensors", "pth", "pt", "bin"];

/// The files of one autoencoder.
#[derive(Debug, Default)]
struct Pair {
    encoder: Option<PathBuf>,
    decoder: Option<PathBuf>,
}

/// `…encoder` and `…decoder` in the folder `path`, or beginning with `path`; of several, those whose latents have `latents` channels.
///
/// # Errors
/// `InvalidInput` where there is no decoder, or several that fit: they are listed.
pub fn halves(path: &Path, latents: Option<usize>) -> Result<Tensors> {
    let fault = |reason: String| Error::input("vae-tiny", reason);
    let (dir, start) = match (path.is_dir(), path.file_name()) {
        (true, _) => (path, String::new()),
        (false, Some(name)) => (path.parent().unwrap_or(Path::new("")), name.to_string_lossy().into_owned()),
        (false, None) => return Err(fault(format!("{} is neither a folder nor a file", path.display()))),
    };
    let mut pairs = pairs(if dir.as_os_str().is_empty() { Path::new(".") } else { dir }, &start)?;
    pairs.retain(|_, pair| pair.decoder.is_some());
    if pairs.is_empty() {
        return Err(fault(format!("{} holds neither config.json nor a decoder file", path.display())));
    }
    let mut found = Vec::new();
    for (name, pair) in pairs {
        let mut tensors = Tensors::new();
        for file in [&pair.encoder, &pair.decoder].into_iter().flatten() {
            tensors.extend(taesd_half(checkpoint::open(file)?));
        }
        let channels = tensors.get("decoder.1.weight").and_then(|t| t.shape.get(1).copied());
        found.push((name, channels, tensors));
    }
    let list = found.iter().map(|(name, channels, _)| {
        format!("{name} ({} latent channels)", channels.map_or_else(|| "unknown".to_owned(), |n| n.to_string()))
    });
    let list = list.collect::<Vec<_>>().join(", ");
    if found.len() > 1 {
        found.retain(|(_, channels, _)| latents.is_none() || *channels == latents);
    }
    match (found.len(), found.pop()) {
        (1, Some((_, _, tensors))) => Ok(tensors),
        (0, _) => Err(fault(format!("none of those in {} fits the model: {list}", path.display()))),
        _ => Err(fault(format!(
            "{} holds several that fit: {list}; give the beginning of the one's files, as in {}",
            path.display(),
            dir.join("taesdxl").display()
        ))),
    }
}

/// The autoencoders of the files in `dir` whose names begin with `start`, by what is before `encoder` and `decoder`.
fn pairs(dir: &Path, start: &str) -> Result<BTreeMap<String, Pair>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))?;
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for file in entries.flatten().map(|e| e.path()).filter(|p| p.is_file()) {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let rank = |path: &Path| ENDINGS.iter().position(|e| path.extension().is_some_and(|own| own == *e));
        let Some(own) = rank(&file).filter(|_| stem.starts_with(start)) else { continue };
        for half in ["encoder", "decoder"] {
            let Some(name) = stem.strip_suffix(half) else { continue };
            let name = name.trim_end_matches(['_', '-', '.']);
            if !start.is_empty() && name != start {
                continue;
            }
            let pair = pairs.entry(name.to_owned()).or_default();
            let place = if half == "encoder" { &mut pair.encoder } else { &mut pair.decoder };
            if place.as_deref().and_then(rank).is_none_or(|other| own < other) {
                *place = Some(file.clone());
            }
        }
    }
    Ok(pairs)
}
