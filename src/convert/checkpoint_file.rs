//! An open checkpoint file, read piece by piece.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::files;

/// An open checkpoint file.
#[derive(Debug)]
pub struct CheckpointFile {
    pub path: PathBuf,
    pub len: u64,
    file: File,
}

impl CheckpointFile {
    pub fn open(path: &Path) -> Result<Rc<Self>> {
        let file = files::open(path)?;
        let meta = file.metadata().map_err(|e| Error::io(path, e))?;
        if !meta.is_file() {
            return Err(Error::input("SRC", format!("{} is not a file", path.display())));
        }
        Ok(Rc::new(Self { path: path.to_owned(), len: meta.len(), file }))
    }

    /// `len` bytes at `offset`; both are checked against the file before memory is taken.
    pub fn read_at(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(self.fault(format!("truncated: it ends before byte {}", offset.saturating_add(len))));
        }
        let mut bytes = vec![0; len as usize];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| Error::io(&self.path, e))?;
        Ok(bytes)
    }

    /// The error of a file that is not what it should be.
    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::integrity(self.path.display().to_string(), reason)
    }

    /// A second handle, for readers that keep a position of their own.
    pub fn reopen(&self) -> Result<File> {
        File::open(&self.path).map_err(|e| Error::io(&self.path, e))
    }
}
