//! Tensors become chunks: each is planned first, then read, encoded, written and hashed, so that one chunk at a time is in memory.

use std::collections::BTreeMap;
use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::tensor::{Dtype, TensorView, serialize};
use sha2::{Digest, Sha256};

use super::checkpoint_tensor::{CheckpointTensor, Tensors};
use super::policy::Policy;
use super::progress::Progress;
use super::quantize::quantize;
use crate::bundle::load::hex;
use crate::bundle::manifest::{Encoding, FileEntry, MAX_FILE_BYTES, Part, Piece, RowsEntry, TensorEntry};
use crate::bundle::section::Section;
use crate::error::{Error, Result};

/// The chunks of a part, worked out before anything is read.
#[derive(Debug)]
pub struct ShardPlan<'a> {
    part: Part,
    tensors: &'a Tensors,
    policy: &'a Policy,
    chunks: Vec<Vec<Piece>>,
}

/// What writing counts, over all parts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Bytes of tensors written so far, and to be written.
    pub done: u64,
    pub total: u64,
    /// What quantizing cost each tensor that was quantized.
    pub losses: BTreeMap<String, Loss>,
}

/// What quantizing a tensor cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    pub bits: u32,
    /// Sums of squares: of the errors, and of the values.
    pub error: f64,
    pub power: f64,
}

impl Loss {
    /// Size of the error over that of the values.
    pub fn relative(&self) -> f64 {
        if self.power > 0.0 { (self.error / self.power).sqrt() } else { 0.0 }
    }
}

/// Spreads the tensors of a part, by name, over chunks of at most `limit` bytes; a larger tensor is split by rows.
pub fn plan<'a>(part: Part, tensors: &'a Tensors, policy: &'a Policy, limit: u64) -> Result<ShardPlan<'a>> {
    let whole = |(name, tensor): (&String, &CheckpointTensor)| {
        if tensor.elements() == 0 {
            return Err(Error::model(&tensor.name, format!("its shape {:?} holds nothing", tensor.shape)));
        }
        let (encoding, group) = policy.encoding(name, &tensor.shape)?;
        Ok(Piece {
            tensor: name.clone(),
            name: name.clone(),
            file: String::new(),
            start: 0,
            shape: tensor.shape.clone(),
            encoding,
            group,
        })
    };
    let wholes = tensors.iter().map(whole).collect::<Result<Vec<_>>>()?;
    Ok(ShardPlan { part, tensors, policy, chunks: spread(part, wholes, limit)? })
}

/// The pieces of whole tensors, chunk by chunk.
///
/// # Errors
/// `ModelInvalid` naming a tensor of which a single row is larger than any file may be.
pub fn spread(part: Part, wholes: Vec<Piece>, limit: u64) -> Result<Vec<Vec<Piece>>> {
    let mut chunks: Vec<(u64, Vec<Piece>)> = Vec::new();
    // Sections apart from each other: who needs one fetches nothing of another.
    let mut wholes = wholes;
    wholes.sort_by_key(|whole| Section::of_tensor(part, &whole.tensor));
    let mut section = None;
    for whole in wholes {
        let name = whole.tensor.clone();
        let next = Some(Section::of_tensor(part, &name));
        let mut begins = section.is_some() && section != next;
        section = next;
        for piece in split(whole, limit) {
            let bytes = piece.bytes();
            if bytes > MAX_FILE_BYTES / 2 {
                return Err(Error::model(name, format!("one of its rows has {bytes} bytes")));
            }
            match chunks.last_mut() {
                Some((filled, pieces)) if *filled + bytes <= limit && !begins => {
                    *filled += bytes;
                    pieces.push(piece);
                }
                _ => chunks.push((bytes, vec![piece])),
            }
            begins = false;
        }
    }
    let count = chunks.len();
    let chunks = chunks.into_iter().enumerate().map(|(i, (_, mut pieces))| {
        let file = format!("{}-{:05}-of-{count:05}.safetensors", part.prefix(), i + 1);
        pieces.iter_mut().for_each(|piece| piece.file.clone_from(&file));
        pieces
    });
    Ok(chunks.collect())
}

/// The entries in a manifest of tensors that lie in `chunks`, which have the shapes that `shape` says.
pub fn entries<'a>(
    chunks: &[Vec<Piece>],
    shape: impl Fn(&str) -> Option<&'a [usize]>,
) -> BTreeMap<String, TensorEntry> {
    let mut entries = BTreeMap::new();
    for piece in chunks.iter().flatten() {
        let Some(shape) = shape(&piece.tensor) else { continue };
        let entry = entries.entry(piece.tensor.clone()).or_insert_with(|| TensorEntry {
            shape: shape.to_vec(),
            encoding: piece.encoding,
            group: piece.group,
            file: None,
            rows: vec![],
        });
        if piece.name == piece.tensor {
            entry.file = Some(piece.file.clone());
        } else {
            let count = piece.shape.first().copied().unwrap_or(1);
            entry.rows.push(RowsEntry { start: piece.start, count, file: piece.file.clone() });
        }
    }
    entries
}

/// `whole`, or its rows in pieces of at most `limit` bytes.
fn split(whole: Piece, limit: u64) -> Vec<Piece> {
    let rows = whole.shape.first().copied().unwrap_or(1);
    if whole.bytes() <= limit || rows <= 1 {
        return vec![whole];
    }
    let row = whole.bytes().div_ceil(rows as u64).max(1);
    let step = usize::try_from(limit / row).unwrap_or(rows).clamp(1, rows);
    let pieces = (0..rows).step_by(step).map(|start| {
        let mut piece = whole.clone();
        piece.name = format!("{}.rows.{start}", whole.tensor);
        piece.start = start;
        if let Some(first) = piece.shape.first_mut() {
            *first = step.min(rows - start);
        }
        piece
    });
    pieces.collect()
}

impl ShardPlan<'_> {
    /// Bytes of all tensors as they will be stored.
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().flatten().map(Piece::bytes).sum()
    }

    /// The tensors' entries in the manifest.
    pub fn entries(&self) -> BTreeMap<String, TensorEntry> {
        entries(&self.chunks, |name| self.tensors.get(name).map(|tensor| tensor.shape.as_slice()))
    }

    /// Writes the chunks into `dir`.
    pub fn write(&self, dir: &Path, tally: &mut Tally, progress: &mut dyn Progress) -> Result<Vec<FileEntry>> {
        let mut files = Vec::with_capacity(self.chunks.len());
        for pieces in &self.chunks {
            let mut stored = Vec::new();
            for piece in pieces {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                stored.extend(self.encode(piece, tally)?);
                tally.done += piece.bytes();
                progress.update(tally.done, tally.total);
            }
            let path = pieces.first().map(|piece| piece.file.as_str()).unwrap_or_default();
            files.push(write_chunk(dir, path, self.part, &stored)?);
        }
        Ok(files)
    }

    /// A piece as the safetensors entries that hold it: name, type, shape and bytes.
    fn encode(&self, piece: &Piece, tally: &mut Tally) -> Result<Vec<Stored>> {
        let tensor = self.tensors.get(&piece.tensor).ok_or_else(|| Error::internal("a planned tensor is gone"))?;
        let values = read(tensor, piece)?;
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::model(&tensor.name, format!("it holds {value}, which is no number to draw with")));
        }
        let name = piece.name.clone();
        match piece.encoding {
            Encoding::F32 => {
                return Ok(vec![(name, Dtype::F32, piece.shape.clone(), bytemuck::cast_slice(&values).to_vec())]);
            }
            Encoding::F16 => return Ok(vec![(name, Dtype::F16, piece.shape.clone(), to_f16(&tensor.name, &values)?)]),
            Encoding::Q8 | Encoding::Q4 => {}
        }
        let bits = piece.encoding.bits();
        let (Some(group), &[rows, width]) = (piece.group, &piece.shape[..]) else {
            return Err(Error::internal(format!("{name} has no groups")));
        };
        let quantized = quantize(&values, bits, group, self.policy.clip)
            .ok_or_else(|| Error::model(&tensor.name, "a value is too large for a scale in f16"))?;
        let loss = tally.losses.entry(piece.tensor.clone()).or_default();
        loss.bits = bits;
        loss.error += quantized.error;
        loss.power += values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let words = quantized.words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let scales = quantized.scales.iter().flat_map(|s| s.to_le_bytes()).collect();
        Ok(vec![
            (format!("{name}.qweight"), Dtype::U32, vec![rows, width * bits as usize / 32], words),
            (format!("{name}.scales"), Dtype::F16, vec![rows, width / group], scales),
        ])
    }
}

/// A safetensors entry: name, type, shape and bytes.
pub type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

/// Writes a chunk of the bundle and describes it.
pub fn write_chunk(dir: &Path, path: &str, part: Part, stored: &[Stored]) -> Result<FileEntry> {
    let views = stored.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| Error::internal(e.to_string()))?;
    let bytes = serialize(views, None).map_err(|e| Error::internal(e.to_string()))?;
    write_file(dir, path, part, &bytes)
}

fn read(tensor: &CheckpointTensor, piece: &Piece) -> Result<Vec<f32>> {
    match piece.shape.first() {
        Some(&count) if piece.name != piece.tensor => tensor.rows(piece.start, count)?.read(),
        _ => tensor.read(),
    }
}

/// Values as f16; one that is too large for it is an error.
fn to_f16(name: &str, values: &[f32]) -> Result<Vec<u8>> {
    let mut halves = vec![f16::ZERO; values.len()];
    halves.convert_from_f32_slice(values);
    match values.iter().zip(&halves).find(|(value, half)| value.is_finite() && half.is_infinite()) {
        None => Ok(halves.iter().flat_map(|half| half.to_le_bytes()).collect()),
        Some((value, _)) => Err(Error::model(name, format!("{value} is too large for f16: use --encoding f32"))),
    }
}

/// Writes a file of the bundle and describes it.
pub fn write_file(dir: &Path, path: &str, part: Part, bytes: &[u8]) -> Result<FileEntry> {
    let target = dir.join(path);
    std::fs::write(&target, bytes).map_err(|e| Error::io(&target, e))?;
    Ok(FileEntry { path: path.into(), bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)), part })
}
