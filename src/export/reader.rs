//! The values of a bundle's tensors, whatever they are stored as; one file is in memory at a time.

use std::path::Path;

use crate::bundle::chunk::Chunk;
use crate::bundle::load::check_bytes;
use crate::bundle::manifest::{FileEntry, Manifest};
use crate::error::{Error, Result};
use crate::files;

/// Reads a bundle tensor by tensor.
#[derive(Debug)]
pub struct BundleReader<'a> {
    dir: &'a Path,
    manifest: &'a Manifest,
    /// The file that was read last, and its bytes.
    current: Option<(String, Vec<u8>)>,
}

impl<'a> BundleReader<'a> {
    pub fn new(dir: &'a Path, manifest: &'a Manifest) -> Self {
        Self { dir, manifest, current: None }
    }

    /// The values of `name`, row-major.
    ///
    /// # Errors
    /// `Integrity` and `ModelInvalid` as the loader's.
    pub fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        let entry = self.manifest.tensors.get(name).ok_or_else(|| Error::model(name, "the tensor is missing"))?;
        let mut values = Vec::with_capacity(entry.elements());
        for piece in entry.pieces(name) {
            let bytes = self.file(&piece.file)?;
            values.extend(Chunk::parse(&piece.file, bytes)?.decode(&piece)?);
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::model(name, format!("it holds {value}, which is no number to draw with")));
        }
        Ok(values)
    }

    /// A file that is no chunk: the tokenizer's.
    ///
    /// # Errors
    /// `Integrity` where it is not what the manifest says.
    pub fn bytes(&self, entry: &FileEntry) -> Result<Vec<u8>> {
        let bytes = files::read(&self.dir.join(&entry.path))?;
        check_bytes(entry, &bytes)?;
        Ok(bytes)
    }

    fn file(&mut self, path: &str) -> Result<&[u8]> {
        let is_current = self.current.as_ref().is_some_and(|(name, _)| name == path);
        if !is_current {
            let entry =
                self.manifest.file(path).ok_or_else(|| Error::integrity(path, "the manifest does not list it"))?;
            self.current = None;
            self.current = Some((path.to_owned(), self.bytes(entry)?));
        }
        self.current.as_ref().map(|(_, bytes)| bytes.as_slice()).ok_or_else(|| Error::internal("no file was read"))
    }
}
