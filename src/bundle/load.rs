//! The strict loader: a bundle goes in file by file, its tensors come out on the device, and no file outlives its call.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::chunk::{Chunk, Words};
use super::manifest::{FileEntry, Manifest, Part, Piece, TensorEntry};
use super::section::Section;
use super::weights::{HostTable, Weights};
use super::whole;
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
    /// The bytes of `prompts.safetensors`, where the bundle has one.
    pub prompts: Option<Vec<u8>>,
    /// Sections that were left out.
    pub absent: BTreeSet<Section>,
}

/// Takes the files of a bundle, in any order.
#[derive(Debug)]
pub struct Loader {
    manifest: Manifest,
    weights: Weights,
    tokenizer: Option<Vec<u8>>,
    prompts: Option<Vec<u8>>,
    absent: BTreeSet<Section>,
    /// Of [`HOST_TABLE`] these rows alone are kept, where there are some.
    rows: Option<BTreeSet<usize>>,
    /// Files still to come, with what they must hold.
    pending: BTreeMap<String, Vec<Piece>>,
    /// Tensors split by rows, until their last piece has come.
    partial: BTreeMap<String, Partial>,
}

/// A tensor being put together: the rows so far, and pieces that came before their turn, with how many rows they have.
#[derive(Debug, Default)]
struct Partial {
    rows: usize,
    values: Values,
    early: BTreeMap<usize, (usize, Values)>,
}

/// Values of a tensor: as numbers, or as the words of a matrix that stays packed on the device.
#[derive(Debug)]
enum Values {
    Numbers(Vec<f32>),
    Packed(Words),
}

impl Default for Values {
    fn default() -> Self {
        Self::Numbers(Vec::new())
    }
}

impl Loader {
    /// A loader of every part of the bundle.
    pub fn new(manifest: Manifest, device: &Device) -> Result<Self> {
        Self::with_parts(manifest, device, |_| true)
    }

    /// A loader of the parts that `wanted` picks: files of other parts are neither needed nor accepted.
    ///
    /// # Errors
    /// As [`whole::check`]'s, on a bundle that cannot run.
    pub fn with_parts(manifest: Manifest, device: &Device, wanted: impl Fn(Part) -> bool) -> Result<Self> {
        Self::with_sections(manifest, device, |section| wanted(section.part()))
    }

    /// A loader of the sections that `wanted` picks: files that hold nothing of them are neither needed nor accepted.
    ///
    /// # Errors
    /// As [`whole::check`]'s, on a bundle that cannot run.
    pub fn with_sections(manifest: Manifest, device: &Device, wanted: impl Fn(Section) -> bool) -> Result<Self> {
        whole::check(&manifest)?;
        Ok(Self::of_files(manifest, device, wanted))
    }

    /// A loader of what the manifest lists, be it a model or not.
    fn of_files(manifest: Manifest, device: &Device, wanted: impl Fn(Section) -> bool) -> Self {
        let absent = Section::of_bundle(&manifest).into_iter().filter(|section| !wanted(*section)).collect();
        let pending = pieces_by_file(&manifest, wanted);
        Self {
            manifest,
            weights: Weights::new(device),
            tokenizer: None,
            prompts: None,
            absent,
            rows: None,
            pending,
            partial: BTreeMap::new(),
        }
    }

    /// Keeps `rows` of [`HOST_TABLE`] alone: the table is then never in memory whole.
    pub fn with_rows(mut self, rows: BTreeSet<usize>) -> Self {
        self.rows = Some(rows);
        self
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What has come whole so far: who takes something before the end leaves the rest to come.
    pub fn weights(&mut self) -> &mut Weights {
        &mut self.weights
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
        self.add(path, bytes, false)
    }

    /// As [`Self::add_file`], of bytes whose hash the caller has compared with the manifest's.
    pub fn add_hashed(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.add(path, bytes, true)
    }

    fn add(&mut self, path: &str, bytes: &[u8], hashed: bool) -> Result<()> {
        let entry = self.manifest.file(path).ok_or_else(|| Error::integrity(path, "the manifest does not list it"))?;
        let Some(pieces) = self.pending.get(path) else {
            return Err(Error::integrity(path, "it was given already, or belongs to a part that is not loaded"));
        };
        check_length(entry, bytes.len() as u64)?;
        if !hashed {
            check_hash(entry, bytes)?;
        }
        match entry.part {
            Part::Tokenizer => self.tokenizer = Some(bytes.to_vec()),
            Part::Prompts => self.prompts = Some(bytes.to_vec()),
            Part::Transformer | Part::TextEncoder | Part::Vae | Part::VaeTiny => {
                let chunk = Chunk::parse(path, bytes)?;
                chunk.check(pieces)?;
                for piece in
                    pieces.iter().filter(|piece| !self.absent.contains(&Section::of_tensor(entry.part, &piece.tensor)))
                {
                    let entry = self.manifest.tensors.get(&piece.tensor);
                    let entry = entry.ok_or_else(|| Error::internal(format!("{} has no entry", piece.tensor)))?;
                    chunk.check_values(piece)?;
                    if let Some(rows) = self.rows.as_ref().filter(|_| piece.tensor == HOST_TABLE) {
                        insert_rows(entry, &mut self.weights, &chunk, piece, rows)?;
                        continue;
                    }
                    let packed = piece.tensor != HOST_TABLE && self.weights.keeps_packed(entry);
                    let values = if packed {
                        Values::Packed(chunk.words_of(piece, room_of(entry, piece))?)
                    } else {
                        Values::Numbers(chunk.decode(piece)?)
                    };
                    insert(entry, &mut self.weights, &mut self.partial, piece, values)?;
                }
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
        let Self { manifest, weights, tokenizer, prompts, absent, .. } = self;
        Ok(Loaded { manifest, weights, tokenizer, prompts, absent })
    }
}

/// What each file must hold that has something of the `wanted` sections.
pub fn pieces_by_file(manifest: &Manifest, wanted: impl Fn(Section) -> bool) -> BTreeMap<String, Vec<Piece>> {
    let mut by_file: BTreeMap<String, (Part, Vec<Piece>)> =
        manifest.files.iter().map(|file| (file.path.clone(), (file.part, Vec::new()))).collect();
    for (name, tensor) in &manifest.tensors {
        for piece in tensor.pieces(name) {
            if let Some((_, pieces)) = by_file.get_mut(&piece.file) {
                pieces.push(piece);
            }
        }
    }
    let holds_wanted = |part: Part, pieces: &[Piece]| match pieces {
        [] => wanted(Section::Part(part)),
        pieces => pieces.iter().any(|piece| wanted(Section::of_tensor(part, &piece.tensor))),
    };
    let files = by_file.into_iter().filter(|(_, (part, pieces))| holds_wanted(*part, pieces));
    files.map(|(path, (_, pieces))| (path, pieces)).collect()
}

/// The bytes are the ones the manifest describes.
pub fn check_bytes(entry: &FileEntry, bytes: &[u8]) -> Result<()> {
    check_length(entry, bytes.len() as u64)?;
    check_hash(entry, bytes)
}

fn check_hash(entry: &FileEntry, bytes: &[u8]) -> Result<()> {
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
    entry: &TensorEntry,
    weights: &mut Weights,
    partial: &mut BTreeMap<String, Partial>,
    piece: &Piece,
    values: Values,
) -> Result<()> {
    let name = &piece.tensor;
    let values = if entry.rows.is_empty() {
        values
    } else {
        let part = partial.entry(name.clone()).or_default();
        part.add(entry, piece, values)?;
        if Some(&part.rows) != entry.shape.first() {
            return Ok(());
        }
        partial.remove(name).unwrap_or_default().values
    };
    match (values, entry.shape.as_slice()) {
        (Values::Packed(words), _) => weights.insert_packed(name, entry, words)?,
        (Values::Numbers(data), &[rows, width]) if name == HOST_TABLE => {
            weights.insert_host(name, HostTable::whole([rows, width], data));
        }
        (Values::Numbers(data), shape) => weights.insert(name, shape, data),
    }
    Ok(())
}

/// Adds those of a piece's rows that are wanted to the table, which may not be whole yet.
fn insert_rows(
    entry: &TensorEntry,
    weights: &mut Weights,
    chunk: &Chunk,
    piece: &Piece,
    rows: &BTreeSet<usize>,
) -> Result<()> {
    let &[count, width] = entry.shape.as_slice() else {
        return Err(Error::internal(format!("{} is no table", piece.tensor)));
    };
    let end = piece.start + piece.shape.first().copied().unwrap_or(0);
    let table = weights.host(&piece.tensor, [count, width]);
    for &row in rows.range(piece.start..end) {
        table.insert(row, &chunk.decode_row(piece, row - piece.start)?);
    }
    Ok(())
}

impl Partial {
    /// Adds the rows of `piece` to the tensor.
    fn add(&mut self, entry: &TensorEntry, piece: &Piece, values: Values) -> Result<()> {
        let no_memory = |_| Error::model(&piece.tensor, format!("no memory for its {} values", entry.elements()));
        self.early.insert(piece.start, (piece.shape.first().copied().unwrap_or(1), values));
        while let Some((rows, next)) = self.early.remove(&self.rows) {
            self.rows += rows;
            match (&mut self.values, next) {
                (Values::Numbers(all), Values::Numbers(next)) => {
                    all.try_reserve_exact(entry.elements() - all.len()).map_err(no_memory)?;
                    all.extend(next);
                }
                (Values::Packed(all), Values::Packed(next)) => {
                    all.words.extend(next.words);
                    all.scales.extend(next.scales);
                }
                (all, first) => *all = first,
            }
        }
        Ok(())
    }
}

/// How many pieces like a tensor's first one the tensor takes: room is made for all of them at once, for a vector that grows is copied, and
/// twice as large as it must be.
fn room_of(entry: &TensorEntry, piece: &Piece) -> usize {
    let rows = |shape: &[usize]| shape.first().copied().unwrap_or(1);
    if piece.start == 0 { rows(&entry.shape).div_ceil(rows(&piece.shape).max(1)) } else { 1 }
}

#[cfg(test)]
mod tests;
