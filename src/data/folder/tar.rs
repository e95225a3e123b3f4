//! Members of tar archives, found by their headers alone: where each one's bytes lie.

use std::path::Path;

use tar::Archive;

use crate::error::{Error, Result};
use crate::files;

/// What headers and bodies are padded to.
const BLOCK: u64 = 512;

/// A regular file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub offset: u64,
    pub length: u64,
}

/// The members of the archive at `path`, in its order; their bytes are not read.
///
/// # Errors
/// `Io`, or `InvalidInput` naming an archive that is damaged or cut off.
pub fn members(path: &Path) -> Result<Vec<Member>> {
    let io = |e| Error::io(path, e);
    let fault = |reason: String| Error::input(path.display().to_string(), reason);
    let file = files::open(path)?;
    let total = file.metadata().map_err(io)?.len();
    let mut archive = Archive::new(file);
    let (mut members, mut at) = (Vec::new(), 0);
    for entry in archive.entries_with_seek().map_err(io)? {
        let damaged =
            |e: std::io::Error| fault(format!("it is no tar archive: the header at byte {at} is damaged: {e}"));
        let entry = entry.map_err(damaged)?;
        let (offset, length) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(length).is_none_or(|end| end > total) {
            return Err(fault("it is cut off".into()));
        }
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            members.push(Member { name, offset, length });
        }
        at = (offset + length).next_multiple_of(BLOCK);
    }
    Ok(members)
}
