//! The strict loader: a bundle goes in file by file, its tensors come out on the device, and no file outlives its call.

use std::collections::BTreeMap;

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::chunk::Chunk;
use super::manifest::{FileEntry, Manifest, Part, Piece};
use super::weights::{HostTable, Weights};
use crate::error::{Error, Result};

/// The table whose rows are gathered on the CPU, and which therefore stays in host memory.
pub const HOST_TABLE: &str = "text_encoder.shared.weight";

/// A bundle in memory.
#[derive(Debug)]
pub struct Loaded {
    pub manifest: Manifest,
    pub weights: Weights,
    /// The bytes of `tokenizer.json`, where the bundle has one.
    pub tokenizer: Option<Vec<u8>>,
}

/// Takes the files of a bundle, in any order.
#[derive(Debug)]
pub struct Loader {
    manifest: Manifest,
    weights: Weights,
    tokenizer: Option<Vec<u8>>,
    /// Files still to come, with what they must hold.
    pending: BTreeMap<String, Vec<Piece>>,
    /// Tensors split by rows, until their last piece has come.
    partial: BTreeMap<String, Partial>,
}

/// A tensor being put together: the rows so far, and pieces that came before their turn.
#[derive(Debug, Default)]
struct Partial {
    values: Vec<f32>,
    early: BTreeMap<usize, Vec<f32>>,
}

impl Loader {
    /// A loader of every part of the bundle.
    pub fn new(manifest: Manifest, device: &Device) -> Result<Self> {
        Self::with_parts(manifest, device, |_| true)
    }

    /// A loader of the parts that `wanted` picks: files of other parts are neither needed nor accepted.
    pub fn with_parts(manifest: Manifest, device: &Device, wanted: impl Fn(Part) -> bool) -> Result<Self> {
        let pending = pieces_by_file(&manifest, wanted);
        Ok(Self { manifest, weights: Weights::new(device), tokenizer: None, pending, partial: BTreeMap::new() })
    }

    /// Paths of the files still to come.
    pub fn pending(&self) -> impl Iterator<Item = &str> {
        self.pending.keys().map(String::as_str)
    }

    /// The manifest's entry of a file.
    pub fn entry(&self, path: &str) -> Result<&FileEntry> {
        self.manifest.file(path).ok_or_else(|| Error::integrity(path, "the manifest does not list it"))
    }

    /// Takes one file: checks it against the manifest, decodes its tensors and puts them on the device.
    ///
    /// Fails with `INTEGRITY` when the file is truncated, altered or not awaited, with `MODEL_INVALID` when a tensor in it is
    /// missing, unknown, misshapen or of another type. Nothing of a file that failed is kept: it can be given again.
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let entry = self.manifest.file(path).ok_or_else(|| Error::integrity(path, "the manifest does not list it"))?;
        let Some(pieces) = self.pending.get(path) else {
            return Err(Error::integrity(path, "it was given already, or belongs to a part that is not loaded"));
        };
        check_bytes(entry, bytes)?;
        if entry.part == Part::Tokenizer {
            self.tokenizer = Some(bytes.to_vec());
        } else {
            let chunk = Chunk::parse(path, bytes)?;
            chunk.check(pieces)?;
            for piece in pieces {
                insert(&self.manifest, &mut self.weights, &mut self.partial, piece, chunk.decode(piece)?)?;
            }
        }
        self.pending.remove(path);
        Ok(())
    }

    /// Ends the loading. A file that never came is an `INTEGRITY` error naming it.
    pub fn finish(self) -> Result<Loaded> {
        if let Some(path) = self.pending.keys().next() {
            return Err(Error::integrity(path, "missing"));
        }
        Ok(Loaded { manifest: self.manifest, weights: self.weights, tokenizer: self.tokenizer })
    }
}

/// What each file of the `wanted` parts must hold.
pub fn pieces_by_file(manifest: &Manifest, wanted: impl Fn(Part) -> bool) -> BTreeMap<String, Vec<Piece>> {
    let files = manifest.files.iter().filter(|f| wanted(f.part));
    let mut by_file: BTreeMap<String, Vec<Piece>> = files.map(|f| (f.path.clone(), Vec::new())).collect();
    for (name, tensor) in &manifest.tensors {
        for piece in tensor.pieces(name) {
            if let Some(pieces) = by_file.get_mut(&piece.file) {
                pieces.push(piece);
            }
        }
    }
    by_file
}

/// The bytes are the ones the manifest describes.
pub fn check_bytes(entry: &FileEntry, bytes: &[u8]) -> Result<()> {
    check_length(entry, bytes.len() as u64)?;
    let found = hex(&Sha256::digest(bytes));
    if found != entry.sha256 {
        let reason = format!("altered: its sha256 is {found}, the manifest says {}", entry.sha256);
        return Err(Error::integrity(&entry.path, reason));
    }
    Ok(())
}

/// The length is the one the manifest gives.
pub fn check_length(entry: &FileEntry, found: u64) -> Result<()> {
    let cause = match found.cmp(&entry.bytes) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => "truncated",
        std::cmp::Ordering::Greater => "altered",
    };
    Err(Error::integrity(&entry.path, format!("{cause}: it has {found} bytes, the manifest says {}", entry.bytes)))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Puts the values of a piece in place; a tensor goes to the device with its last piece.
fn insert(
    manifest: &Manifest,
    weights: &mut Weights,
    partial: &mut BTreeMap<String, Partial>,
    piece: &Piece,
    values: Vec<f32>,
) -> Result<()> {
    let name = &piece.tensor;
    let entry = manifest.tensors.get(name).ok_or_else(|| Error::internal(format!("{name} has no entry")))?;
    let values = if entry.rows.is_empty() {
        values
    } else {
        let part = partial.entry(name.clone()).or_default();
        part.add(entry.elements(), entry.elements() / entry.shape.first().copied().unwrap_or(1).max(1), piece, values)?;
        if part.values.len() < entry.elements() {
            return Ok(());
        }
        partial.remove(name).unwrap_or_default().values
    };
    match *entry.shape.as_slice() {
        [rows, width] if name == HOST_TABLE => {
            weights.insert_host(name, HostTable { shape: [rows, width], data: values });
        }
        _ => weights.insert(name, &entry.shape, values),
    }
    Ok(())
}

impl Partial {
    /// Adds the rows of `piece` to a tensor of `elements` values in rows of `width`.
    fn add(&mut self, elements: usize, width: usize, piece: &Piece, values: Vec<f32>) -> Result<()> {
        if self.values.capacity() < elements {
            let reserved = self.values.try_reserve_exact(elements - self.values.len());
            reserved.map_err(|_| Error::model(&piece.tensor, format!("no memory for its {elements} values")))?;
        }
        self.early.insert(piece.start * width, values);
        while let Some(next) = self.early.remove(&self.values.len()) {
            self.values.extend(next);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
