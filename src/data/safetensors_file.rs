//! The header of a safetensors file, read without its values.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use half::f16;
use safetensors::tensor::Metadata;

use crate::error::{Error, Result};

/// A file of a cache, open, with what [`read_header`] tells of it.
///
/// # Errors
/// As [`read_header`]; `Integrity` where it is missing.
pub fn open(path: &Path) -> Result<(File, Metadata, u64)> {
    let mut file = File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::integrity(path.display().to_string(), "it is missing: `diffcr cache` makes it")
        }
        _ => Error::io(path, e),
    })?;
    let (metadata, start) = read_header(&mut file, path)?;
    Ok((file, metadata, start))
}

/// `count` f16 values from byte `at` on.
///
/// # Errors
/// As reading the file.
pub fn read_f16(file: &File, at: u64, count: usize) -> std::io::Result<Vec<f32>> {
    let mut bytes = vec![0; 2 * count];
    read_at(file, &mut bytes, at)?;
    Ok(bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect())
}

/// Names, shapes and places of a file's tensors, its free metadata, and the byte at which values begin.
///
/// # Errors
/// `Io`, or `Integrity` where the file is none or is too short for what its header describes.
pub fn read_header(file: &mut File, path: &Path) -> Result<(Metadata, u64)> {
    let damaged = |reason: String| Error::integrity(path.display().to_string(), reason);
    let io = |e: std::io::Error| Error::io(path, e);
    let length = file.metadata().map_err(io)?.len();
    if length < 8 {
        return Err(damaged("it is shorter than 8 bytes".into()));
    }
    let mut word = [0; 8];
    file.read_exact(&mut word).map_err(io)?;
    let header = u64::from_le_bytes(word);
    if header > length - 8 {
        return Err(damaged(format!("its header claims {header} bytes")));
    }
    let mut bytes = vec![0; header as usize];
    file.read_exact(&mut bytes).map_err(io)?;
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if length < 8 + header + metadata.data_len() as u64 {
        return Err(damaged("it ends too soon".into()));
    }
    Ok((metadata, 8 + header))
}

/// Fills `bytes` from those at `at`.
///
/// # Errors
/// As reading the file.
#[cfg(unix)]
pub fn read_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Fills `bytes` from those at `at`.
///
/// # Errors
/// As reading the file.
#[cfg(not(unix))]
pub fn read_at(mut file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at))?;
    std::io::Read::read_exact(&mut file, bytes)
}
