//! Bytes of a safetensors chunk become values, with no I/O: every length, offset, shape and type is checked before it is used.

use half::slice::HalfBitsSliceExt;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};

use super::manifest::{Encoding, Piece};
use crate::error::{Error, Result};

/// Values of a matrix as a chunk holds them, low bits first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words {
    pub words: Vec<u32>,
    /// f16 bits: one scale for every group of a quantized matrix.
    pub scales: Vec<u16>,
}

/// A parsed chunk over the bytes it came from.
#[derive(Debug)]
pub struct Chunk<'a> {
    file: &'a str,
    tensors: SafeTensors<'a>,
}

impl<'a> Chunk<'a> {
    /// Parses the header of `bytes`. `file` names the chunk in errors.
    ///
    /// Fails with `INTEGRITY` when the header, an offset or a length does not fit the bytes.
    pub fn parse(file: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|e| Error::integrity(file, format!("not a safetensors file: {e}")))?;
        Ok(Self { file, tensors })
    }

    /// The chunk holds exactly `pieces`: none missing, misshapen or of another type, and nothing else.
    pub fn check<'p>(&self, pieces: impl IntoIterator<Item = &'p Piece>) -> Result<()> {
        let mut known = std::collections::BTreeSet::new();
        for piece in pieces {
            for (name, dtype, shape) in stored(piece) {
                self.bytes(&name, dtype, &shape)?;
                known.insert(name);
            }
        }
        match self.tensors.names().into_iter().filter(|name| !known.contains(*name)).min() {
            None => Ok(()),
            Some(name) => Err(Error::model(name, format!("{} holds it, the manifest does not list it", self.file))),
        }
    }

    /// The values of `piece`, row-major, as f32; quantized ones are multiplied out.
    pub fn decode(&self, piece: &Piece) -> Result<Vec<f32>> {
        let parts = stored(piece);
        let bytes =
            parts.iter().map(|(name, dtype, shape)| self.bytes(name, *dtype, shape)).collect::<Result<Vec<_>>>()?;
        values(piece, &bytes)
    }

    /// Row `row` of `piece`, a matrix, as [`Self::decode`] gives it.
    ///
    /// # Errors
    /// `Internal` where the piece has no such row.
    pub fn decode_row(&self, piece: &Piece, row: usize) -> Result<Vec<f32>> {
        let (mut rows, mut one) = (Vec::new(), piece.clone());
        for (name, dtype, shape) in stored(piece) {
            let bytes = self.bytes(&name, dtype, &shape)?;
            let size = bytes.len() / shape.first().copied().unwrap_or(1).max(1);
            let bytes = bytes.get(row * size..(row + 1) * size);
            rows.push(bytes.ok_or_else(|| Error::internal(format!("{name} has no row {row}")))?);
        }
        if let Some(first) = one.shape.first_mut() {
            *first = 1;
        }
        values(&one, &rows)
    }

    /// Every value of `piece` that is stored as a float is a number.
    ///
    /// # Errors
    /// `MODEL_INVALID` naming the tensor.
    pub fn check_values(&self, piece: &Piece) -> Result<()> {
        for (name, dtype, shape) in stored(piece) {
            let bytes = self.bytes(&name, dtype, &shape)?;
            let found = match dtype {
                Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).find(|v| !v.is_finite()),
                Dtype::F16 => {
                    let values = bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b));
                    values.map(f16::to_f32).find(|v| !v.is_finite())
                }
                _ => None,
            };
            if let Some(value) = found {
                return Err(Error::model(&piece.tensor, format!("it holds {value}, which is no number to draw with")));
            }
        }
        Ok(())
    }

    /// The values of `piece` as they are stored, for a device that reads them so.
    pub fn words(&self, piece: &Piece) -> Result<Words> {
        self.words_of(piece, 1)
    }

    /// As [`Self::words`], with room for the pieces that follow: so many times as much.
    pub fn words_of(&self, piece: &Piece, times: usize) -> Result<Words> {
        let parts = stored(piece);
        let bytes =
            parts.iter().map(|(name, dtype, shape)| self.bytes(name, *dtype, shape)).collect::<Result<Vec<_>>>()?;
        let mut words = Vec::with_capacity(bytes[0].len() / 4 * times);
        words.extend(bytes[0].as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)));
        Ok(Words { words, scales: bytes.get(1).map_or_else(Vec::new, |scales| halves(scales)) })
    }

    fn bytes(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8]> {
        let fault = |reason: String| Error::model(name, reason);
        let view = self.tensors.tensor(name).map_err(|_| fault(format!("{} does not hold it", self.file)))?;
        if view.dtype() != dtype {
            return Err(fault(format!("{} holds it as {:?}, the manifest says {dtype:?}", self.file, view.dtype())));
        }
        if view.shape() != shape {
            return Err(fault(format!(
                "its shape in {} is {:?}, the manifest says {shape:?}",
                self.file,
                view.shape()
            )));
        }
        Ok(view.data())
    }
}

/// The safetensors entries that hold `piece`: name, type and shape.
fn stored(piece: &Piece) -> Vec<(String, Dtype, Vec<usize>)> {
    let (name, shape) = (&piece.name, &piece.shape);
    match piece.encoding {
        Encoding::F32 => vec![(name.clone(), Dtype::F32, shape.clone())],
        Encoding::F16 => vec![(name.clone(), Dtype::F16, shape.clone())],
        Encoding::Q8 | Encoding::Q4 => {
            let (rows, width) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
            let per_word = (32 / piece.encoding.bits()) as usize;
            vec![
                (format!("{name}.qweight"), Dtype::U32, vec![rows, width / per_word]),
                (format!("{name}.scales"), Dtype::F16, vec![rows, width / piece.group.unwrap_or(1)]),
            ]
        }
    }
}

/// The values that `bytes`, one for each of [`stored`], hold of `piece`.
fn values(piece: &Piece, bytes: &[&[u8]]) -> Result<Vec<f32>> {
    match (piece.encoding, piece.group, bytes) {
        (Encoding::F32, _, [values]) => floats(&piece.name, Dtype::F32, values),
        (Encoding::F16, _, [values]) => floats(&piece.name, Dtype::F16, values),
        (Encoding::Q8, Some(group), [words, scales]) => Ok(dequantize::<{ Encoding::Q8.bits() }>(words, scales, group)),
        (Encoding::Q4, Some(group), [words, scales]) => Ok(dequantize::<{ Encoding::Q4.bits() }>(words, scales, group)),
        _ => Err(Error::internal(format!("{} has no group", piece.name))),
    }
}

/// Little-endian values of a floating point type as f32; any other type is refused, naming the tensor.
pub fn floats(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>> {
    match dtype {
        Dtype::F32 => Ok(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::F16 => Ok(halves(bytes).reinterpret_cast::<f16>().to_f32_vec()),
        Dtype::BF16 => Ok(halves(bytes).reinterpret_cast::<bf16>().to_f32_vec()),
        _ => Err(Error::model(name, format!("its type is {dtype:?}, not F32, F16 or BF16"))),
    }
}

fn halves(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect()
}

/// `BITS`-wide integers, low bits first, two's complement, times the scale of their group.
fn dequantize<const BITS: u32>(words: &[u8], scales: &[u8], group: usize) -> Vec<f32> {
    let scales = halves(scales);
    let per_word = (32 / BITS) as usize;
    let words = words.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect::<Vec<_>>();
    let mut values = Vec::with_capacity(words.len() * per_word);
    for (words, scale) in words.chunks(group / per_word).zip(scales) {
        let scale = f16::from_bits(scale).to_f32();
        for word in words {
            let value = |i: u32| (word << (32 - BITS * (i + 1))) as i32 >> (32 - BITS);
            values.extend((0..32 / BITS).map(|i| value(i) as f32 * scale));
        }
    }
    values
}

#[cfg(test)]
mod tests;
