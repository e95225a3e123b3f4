//! A bundle on disk goes through the loader, one file at a time.

use std::path::Path;

use burn::tensor::Device;

use super::load::{Loaded, Loader, check_bytes, check_length, pieces_by_file};
use super::manifest::{FileEntry, MANIFEST_FILE, Manifest, Part};
use super::whole;
use crate::bundle::chunk::Chunk;
use crate::error::{Error, Result};

/// The manifest of the bundle in `dir`.
pub fn read_manifest(dir: &Path) -> Result<Manifest> {
    let path = dir.join(MANIFEST_FILE);
    Manifest::parse(&std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?)
}

/// Loads the bundle in `dir` on `device`: every part, or only `parts`.
pub fn load_folder(dir: &Path, device: &Device, parts: Option<&[Part]>) -> Result<Loaded> {
    let mut loader =
        Loader::with_parts(read_manifest(dir)?, device, |part| parts.is_none_or(|wanted| wanted.contains(&part)))?;
    let paths: Vec<String> = loader.pending().map(str::to_owned).collect();
    for path in paths {
        let bytes = read_file(dir, loader.entry(&path)?)?;
        loader.add_file(&path, &bytes)?;
    }
    loader.finish()
}

/// Checks every file of the bundle in `dir`: presence, length, hash, and the names, types and shapes of its tensors, which make a model.
/// `progress` is told the bytes of each file that passed.
pub fn verify_folder(dir: &Path, mut progress: impl FnMut(u64)) -> Result<Manifest> {
    let manifest = read_manifest(dir)?;
    whole::check(&manifest)?;
    let pieces = pieces_by_file(&manifest, |_| true);
    for entry in &manifest.files {
        let bytes = read_file(dir, entry)?;
        check_bytes(entry, &bytes)?;
        if entry.part != Part::Tokenizer {
            Chunk::parse(&entry.path, &bytes)?.check(pieces.get(&entry.path).into_iter().flatten())?;
        }
        progress(entry.bytes);
    }
    Ok(manifest)
}

/// Reads a file whose length is already known to be right.
fn read_file(dir: &Path, entry: &FileEntry) -> Result<Vec<u8>> {
    let path = dir.join(&entry.path);
    let io = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::integrity(&entry.path, "missing"),
        _ => Error::io(&path, e),
    };
    check_length(entry, std::fs::metadata(&path).map_err(io)?.len())?;
    std::fs::read(&path).map_err(io)
}
