//! The transformer under the names of PixArt's authors, with those of DiffCR's.

use super::options::{ExportOptions, Exported};
use super::reader::BundleReader;
use super::safetensors::Tally;
use super::tensor::{ForeignTensor, ratios};
use super::torch;
use crate::bundle::manifest::Manifest;
use crate::convert::progress::Progress;
use crate::convert::{LAST_TABLE, original_layers};
use crate::error::Result;
use crate::files;

/// Writes the file `options.out`.
///
/// # Errors
/// As [`super::export`].
pub fn write(
    manifest: &Manifest,
    reader: &mut BundleReader,
    options: &ExportOptions,
    exported: &mut Exported,
    progress: &mut dyn Progress,
) -> Result<()> {
    let tensors = tensors(manifest)?;
    let total = tensors.iter().map(|t| t.bytes(options.precision) as u64).sum();
    let mut tally = Tally { done: 0, total, progress };
    let mut failure = None;
    files::put(&options.out, |file| {
        torch::write(file.as_file_mut(), &tensors, reader, options.precision, &mut tally).map_err(|e| {
            failure = Some(e);
            std::io::Error::other("not written")
        })
    })
    .map_err(|e| failure.take().unwrap_or(e))?;
    exported.tensors = tensors.len();
    exported.bytes = tally.done;
    let parts = &manifest.parts;
    if parts.text_encoder.is_some() || parts.vae.is_some() || parts.vae_tiny.is_some() {
        exported
            .notes
            .push("a .pth holds the transformer alone: the text encoder and the autoencoder are left out".into());
    }
    Ok(())
}

/// Every tensor of the transformer, in the order of the layers.
fn tensors(manifest: &Manifest) -> Result<Vec<ForeignTensor>> {
    let config = &manifest.parts.transformer;
    let ours = |name: &str| format!("transformer.{name}");
    let mut out = vec![ForeignTensor::stacked(manifest, LAST_TABLE.into(), vec![ours("scale_shift_table")])?];
    for (theirs, parts) in original_layers(config.layers) {
        for kind in ["", ".weight", ".bias"] {
            let parts: Vec<String> = parts.iter().map(|part| ours(&format!("{part}{kind}"))).collect();
            if parts.iter().all(|part| manifest.tensors.contains_key(part)) {
                out.push(ForeignTensor::stacked(manifest, format!("{theirs}{kind}"), parts)?);
            }
        }
    }
    if let Some(routing) = &manifest.routing {
        out.extend((0..config.layers).flat_map(|n| ratios(routing, n, &format!("blocks.{n}"))));
    }
    Ok(out)
}
