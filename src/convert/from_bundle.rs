//! A bundle as a source, to store its weights another way.

use std::collections::BTreeMap;
use std::path::Path;

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::{CheckpointTensor, Tensors};
use super::model::SourceModel;
use super::options::ConvertOptions;
use super::safetensors_file::open_safetensors;
use crate::bundle::folder::verify_folder;
use crate::bundle::manifest::Part;
use crate::error::{Error, Result};
use crate::files;

/// Opens the bundle in `src`, every file of it verified.
///
/// # Errors
/// `Integrity` and `ManifestInvalid` as the loader's; `ModelInvalid` naming a tensor that is quantized already.
pub fn open(src: &Path, options: &ConvertOptions) -> Result<SourceModel> {
    let manifest = verify_folder(src, |_, _| Ok(()))?;
    let mut files: BTreeMap<&str, Tensors> = BTreeMap::new();
    let (mut tokenizer, mut notes) = (None, vec![]);
    for entry in &manifest.files {
        let path = src.join(&entry.path);
        match entry.part {
            Part::Tokenizer => tokenizer = Some(files::read(&path)?),
            Part::Prompts => {
                notes.push(format!("{} is left out: it holds what the encoder made as it was", entry.path))
            }
            Part::Transformer | Part::TextEncoder | Part::Vae | Part::VaeTiny => {
                files.insert(&entry.path, open_safetensors(&CheckpointFile::open(&path)?)?);
            }
        }
    }
    let mut parts: BTreeMap<&str, Tensors> = BTreeMap::new();
    for (name, entry) in &manifest.tensors {
        if entry.encoding.is_quantized() {
            return Err(Error::model(name, "it is quantized already: convert the bundle it was made from"));
        }
        let stored = entry.pieces(name).into_iter().map(|piece| {
            let tensor = files.get(piece.file.as_str()).and_then(|file| file.get(&piece.name)).cloned();
            tensor.ok_or_else(|| Error::model(&piece.name, format!("{} does not hold it", piece.file)))
        });
        let stored = stored.collect::<Result<Vec<_>>>()?;
        let tensor = match stored.as_slice() {
            [whole] if entry.file.is_some() => whole.clone(),
            _ => CheckpointTensor::stacked(name, stored)?,
        };
        parts.entry(name.split('.').next().unwrap_or_default()).or_default().insert(name.clone(), tensor);
    }
    let mut take = |part: Part, wanted: bool| parts.remove(part.prefix()).filter(|_| wanted).unwrap_or_default();
    let (text, vae) = (!options.without_text_encoder, !options.without_vae);
    let mut model = SourceModel {
        source: "bundle",
        transformer: take(Part::Transformer, true),
        text_encoder: take(Part::TextEncoder, text),
        vae: take(Part::Vae, vae),
        vae_tiny: take(Part::VaeTiny, vae),
        parts: manifest.parts.clone(),
        tokenizer: tokenizer.filter(|_| text),
        routing: manifest.routing.clone(),
        notes,
    };
    if !text {
        (model.parts.text_encoder, model.parts.tokenizer) = (None, None);
    }
    if !vae {
        (model.parts.vae, model.parts.vae_tiny) = (None, None);
    }
    Ok(model)
}
