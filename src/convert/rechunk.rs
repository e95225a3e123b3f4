//! A bundle in other chunks: every tensor's bytes as they are, quantized or not.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::Dtype;

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::Tensors;
use super::options::ConvertOptions;
use super::progress::Progress;
use super::safetensors_file::open_safetensors;
use super::shard::{Stored, entries, spread, write_chunk, write_file};
use crate::bundle::chunk::floats;
use crate::bundle::folder::verify_folder;
use crate::bundle::manifest::{MANIFEST_FILE, Manifest, Part, Piece, TensorEntry};
use crate::error::{Error, Result};
use crate::files;

/// Whether `options` ask for nothing but other chunks of a bundle that is quantized.
///
/// # Errors
/// `ManifestInvalid` as the loader's.
pub fn is_wanted(options: &ConvertOptions) -> Result<bool> {
    let path = options.src.join(MANIFEST_FILE);
    if options.encoded || !path.is_file() {
        return Ok(false);
    }
    let json = files::read_text(&path)?;
    let quantized = Manifest::parse(&json)?.tensors.values().any(|entry| entry.encoding.is_quantized());
    if quantized
        && (options.routers.is_some()
            || options.vae_tiny.is_some()
            || !options.loras.is_empty()
            || options.places.any()
            || options.solver.is_some())
    {
        return Err(Error::input(
            "SRC",
            "a quantized bundle takes no other parts and no adapters: convert the bundle it was made from",
        ));
    }
    Ok(quantized)
}

/// Writes the tensors of the bundle in `options.src` into chunks of `dir`; the manifest of what is there now, but for its version.
///
/// # Errors
/// As the loader's, `CANCELLED` when `progress` says so.
pub fn rechunk(options: &ConvertOptions, dir: &Path, progress: &mut dyn Progress) -> Result<Manifest> {
    let source = verify_folder(&options.src, |_, _| Ok(()))?;
    let mut files = BTreeMap::new();
    for entry in source.files.iter().filter(|entry| !is_copied(entry.part)) {
        let tensors = open_safetensors(&CheckpointFile::open(&options.src.join(&entry.path))?)?;
        files.insert(entry.path.as_str(), tensors);
    }
    let mut manifest = Manifest { files: vec![], tensors: BTreeMap::new(), ..source.clone() };
    if options.without_text_encoder {
        manifest.parts.text_encoder = None;
        manifest.parts.tokenizer = manifest.parts.tokenizer.filter(|_| source.prompts_file().is_some());
    }
    if options.without_vae {
        (manifest.parts.vae, manifest.parts.vae_tiny) = (None, None);
    }
    let is_left_out = |part| match part {
        Part::Transformer | Part::Prompts => false,
        Part::TextEncoder => options.without_text_encoder,
        // By its tokens a prompt is known, with or without an encoder.
        Part::Tokenizer => options.without_text_encoder && source.prompts_file().is_none(),
        Part::Vae | Part::VaeTiny => options.without_vae,
    };
    let (mut done, total) = (0, source.total_bytes());
    for part in [Part::Transformer, Part::TextEncoder, Part::Vae, Part::VaeTiny] {
        let prefix = format!("{}.", part.prefix());
        let of_part = source.tensors.iter().filter(|(name, _)| name.starts_with(&prefix) && !is_left_out(part));
        let wholes = of_part.map(|(name, entry)| whole(name, entry)).collect();
        let chunks = spread(part, wholes, options.chunk_bytes)?;
        for pieces in &chunks {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let mut stored = Vec::new();
            for piece in pieces {
                let entry =
                    source.tensors.get(&piece.tensor).ok_or_else(|| Error::internal("a planned tensor is gone"))?;
                stored.extend(copied(piece, entry, &files)?);
                done += piece.bytes();
            }
            progress.update(done, total);
            let path = pieces.first().map(|piece| piece.file.as_str()).unwrap_or_default();
            manifest.files.push(write_chunk(dir, path, part, &stored)?);
        }
        manifest.tensors.extend(entries(&chunks, |name| source.tensors.get(name).map(|entry| entry.shape.as_slice())));
    }
    for entry in source.files.iter().filter(|entry| is_copied(entry.part) && !is_left_out(entry.part)) {
        let path = options.src.join(&entry.path);
        let bytes = files::read(&path)?;
        manifest.files.push(write_file(dir, &entry.path, entry.part, &bytes)?);
    }
    Ok(manifest)
}

/// Whether files of a part are taken as they are.
fn is_copied(part: Part) -> bool {
    matches!(part, Part::Tokenizer | Part::Prompts)
}

fn whole(name: &str, entry: &TensorEntry) -> Piece {
    Piece {
        tensor: name.to_owned(),
        name: name.to_owned(),
        file: String::new(),
        start: 0,
        shape: entry.shape.clone(),
        encoding: entry.encoding,
        group: entry.group,
    }
}

/// What a chunk stores of a piece: its rows' bytes, gathered from wherever they lie.
fn copied(piece: &Piece, entry: &TensorEntry, files: &BTreeMap<&str, Tensors>) -> Result<Vec<Stored>> {
    let rows = piece.shape.first().copied().unwrap_or(1);
    let suffixes: &[&str] = if entry.encoding.is_quantized() { &[".qweight", ".scales"] } else { &[""] };
    let mut stored = Vec::new();
    for suffix in suffixes {
        let (mut bytes, mut dtype, mut shape) = (Vec::new(), Dtype::F32, Vec::new());
        for source in entry.pieces(&piece.tensor) {
            let name = format!("{}{suffix}", source.name);
            let tensor = files.get(source.file.as_str()).and_then(|file| file.get(&name));
            let tensor = tensor.ok_or_else(|| Error::model(&name, format!("{} does not hold it", source.file)))?;
            let count = source.shape.first().copied().unwrap_or(1);
            let (from, to) = (piece.start.max(source.start), (piece.start + rows).min(source.start + count));
            if from >= to && !piece.shape.is_empty() {
                continue;
            }
            let is_whole = piece.shape.is_empty() || to - from == count;
            let part = if is_whole { tensor.clone() } else { tensor.rows(from - source.start, to - from)? };
            let stored = part.read_bytes()?;
            if let Ok(values) = floats(&name, part.dtype, &stored)
                && values.iter().any(|value| !value.is_finite())
            {
                return Err(Error::model(&name, "it holds a value that is not finite"));
            }
            bytes.extend(stored);
            (dtype, shape) = (part.dtype, part.shape.clone());
        }
        if let Some(first) = shape.first_mut() {
            *first = rows;
        }
        stored.push((format!("{}{suffix}", piece.name), dtype, shape, bytes));
    }
    Ok(stored)
}
