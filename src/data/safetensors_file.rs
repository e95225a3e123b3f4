//! The header of a safetensors file, read without its values.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::Metadata;

use crate::error::{Error, Result};

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
