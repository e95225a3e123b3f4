//! A part of one bundle in another, every byte as it is.

use std::path::Path;

use super::shard::write_file;
use crate::bundle::folder::verify_folder;
use crate::bundle::manifest::{Manifest, Part};
use crate::error::{Error, Result};
use crate::files;

/// Copies the text encoder and the tokenizer of the bundle in `from` to `dir`, where the bundle of `manifest` is being written.
///
/// # Errors
/// As the loader's; `InvalidInput` on a bundle that has none.
pub fn text_encoder(from: &Path, dir: &Path, manifest: &mut Manifest) -> Result<()> {
    let source = verify_folder(from, |_, _| Ok(()))?;
    if source.parts.text_encoder.is_none() {
        return Err(Error::input("from", format!("{} has no text encoder", from.display())));
    }
    for entry in source.files.iter().filter(|f| matches!(f.part, Part::TextEncoder | Part::Tokenizer)) {
        let path = from.join(&entry.path);
        let bytes = files::read(&path)?;
        manifest.files.push(write_file(dir, &entry.path, entry.part, &bytes)?);
    }
    let prefix = format!("{}.", Part::TextEncoder.prefix());
    manifest.tensors.extend(source.tensors.into_iter().filter(|(name, _)| name.starts_with(&prefix)));
    (manifest.parts.text_encoder, manifest.parts.tokenizer) = (source.parts.text_encoder, source.parts.tokenizer);
    Ok(())
}
