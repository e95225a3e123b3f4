//! A bundle on disk goes through the loader, one file at a time.

use std::path::Path;

use burn::tensor::Device;

use super::load::{Loaded, Loader, check_bytes, check_length, pieces_by_file};
use super::manifest::{FileEntry, MANIFEST_FILE, Manifest, Part};
use super::section::Section;
use super::{prompts, whole};
use crate::bundle::chunk::Chunk;
use crate::error::{Error, Result};
use crate::files;

/// The manifest of the bundle in `dir`.
pub fn read_manifest(dir: &Path) -> Result<Manifest> {
    let path = dir.join(MANIFEST_FILE);
    Manifest::parse(&files::read_text(&path)?)
}

/// Loads the bundle in `dir` on `device`: every part, or only `parts`.
pub fn load_folder(dir: &Path, device: &Device, parts: Option<&[Part]>) -> Result<Loaded> {
    load_sections(dir, device, |section| parts.is_none_or(|wanted| wanted.contains(&section.part())))
}

/// Loads the sections of the bundle in `dir` that `wanted` picks.
///
/// # Errors
/// As [`load_folder`].
pub fn load_sections(dir: &Path, device: &Device, wanted: impl Fn(Section) -> bool) -> Result<Loaded> {
    let mut loader = Loader::with_sections(read_manifest(dir)?, device, wanted)?;
    let paths: Vec<String> = loader.pending().map(str::to_owned).collect();
    for path in paths {
        let bytes = read_file(dir, loader.entry(&path)?)?;
        loader.add_file(&path, &bytes)?;
    }
    loader.finish()
}

/// Checks every file of the bundle in `dir`: presence, length, hash, and the names, types, shapes and values of its tensors, which make a
/// model; then the bundle's version. `visit` is given each file that passed.
pub fn verify_folder(dir: &Path, mut visit: impl FnMut(&FileEntry, &[u8]) -> Result<()>) -> Result<Manifest> {
    let manifest = read_manifest(dir)?;
    whole::check(&manifest)?;
    let pieces = pieces_by_file(&manifest, |_| true);
    for entry in &manifest.files {
        let bytes = read_file(dir, entry)?;
        check_bytes(entry, &bytes)?;
        if entry.part == Part::Prompts {
            prompts::parse(&bytes, manifest.parts.transformer.caption_channels)?;
        } else if entry.part != Part::Tokenizer {
            let (chunk, pieces) = (Chunk::parse(&entry.path, &bytes)?, pieces.get(&entry.path));
            chunk.check(pieces.into_iter().flatten())?;
            pieces.into_iter().flatten().try_for_each(|piece| chunk.check_values(piece))?;
        }
        visit(entry, &bytes)?;
    }
    let version = manifest.content_version();
    if manifest.version != version {
        return Err(Error::manifest(format!(
            "version: it is {:?}, that of the files is {version:?}",
            manifest.version
        )));
    }
    Ok(manifest)
}

/// Writes the manifest of the bundle in `dir`, its versions those of what it lists.
///
/// # Errors
/// `Io` naming the file; those of [`Manifest::parse`] and [`whole::check`] where it would not be read again.
pub fn write_manifest(dir: &Path, mut manifest: Manifest) -> Result<Manifest> {
    manifest.version = manifest.content_version();
    manifest.format_version = manifest.needed_version();
    let json = serde_json::to_string_pretty(&manifest).map_err(|e| Error::internal(e.to_string()))?;
    // What is written must be what is read: the manifest's own checks run on it before anyone sees it.
    let manifest = Manifest::parse(&json)?;
    whole::check(&manifest)?;
    files::replace(&dir.join(MANIFEST_FILE), (json + "\n").as_bytes())?;
    Ok(manifest)
}

/// Reads a file, whose length must be the one that the manifest gives.
///
/// # Errors
/// `Integrity` where the file is missing or of another length, `Io` where it cannot be read.
pub fn read_file(dir: &Path, entry: &FileEntry) -> Result<Vec<u8>> {
    let path = dir.join(&entry.path);
    let io = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::integrity(&entry.path, "missing"),
        _ => Error::io(&path, e),
    };
    check_length(entry, std::fs::metadata(&path).map_err(io)?.len())?;
    std::fs::read(&path).map_err(io)
}
