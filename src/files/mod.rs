//! Files in and out: only regular ones are read, and what is written is there whole or not at all.

mod kind;
#[cfg(feature = "cli")]
mod write;

use std::fs::{File, Metadata};
use std::path::Path;

use crate::error::{Error, Result};
use kind::kind;
#[cfg(feature = "cli")]
pub use write::{check_target, put, replace, temporary_folder};

/// The bytes of a regular file.
///
/// # Errors
/// `Io` naming the file, also where it is a pipe, a device, a socket or a folder: reading those may never end.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    metadata(path)?;
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

/// As [`read`], of a text.
///
/// # Errors
/// As there, and where it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    metadata(path)?;
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

/// A regular file, to be read.
///
/// # Errors
/// As [`read`].
pub fn open(path: &Path) -> Result<File> {
    metadata(path)?;
    File::open(path).map_err(|e| Error::io(path, e))
}

/// What the system says about a regular file.
///
/// # Errors
/// As [`read`].
pub fn metadata(path: &Path) -> Result<Metadata> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    match kind(&metadata) {
        None => Ok(metadata),
        Some(kind) => Err(Error::io(path, std::io::Error::other(format!("it is {kind}, not a file")))),
    }
}

#[cfg(all(test, unix, feature = "cli"))]
mod tests;
