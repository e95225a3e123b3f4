//! A safetensors file, its header first and then one tensor after the other.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::options::{Exported, Precision};
use super::reader::BundleReader;
use super::tensor::{ForeignTensor, bytes};
use crate::convert::progress::Progress;
use crate::error::{Error, Result};

/// Where the writing of several files stands.
pub struct Tally<'a> {
    pub done: u64,
    pub total: u64,
    pub progress: &'a mut dyn Progress,
}

impl Tally<'_> {
    /// So many bytes more.
    ///
    /// # Errors
    /// `Cancelled` where the user asked to stop.
    pub fn add(&mut self, bytes: usize) -> Result<()> {
        self.done += bytes as u64;
        self.progress.update(self.done, self.total);
        if self.progress.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Writes `tensors` to `path`.
///
/// # Errors
/// `Io` naming the file; as the reader's; `Cancelled`.
pub fn write(
    path: &Path,
    tensors: &[ForeignTensor],
    reader: &mut BundleReader,
    precision: Precision,
    exported: &mut Exported,
    tally: &mut Tally,
) -> Result<()> {
    let io = |e: std::io::Error| Error::io(path, e);
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({ "format": "pt" }))]);
    let mut at = 0;
    for tensor in tensors {
        let end = at + tensor.bytes(precision);
        let dtype = match tensor.precision(precision) {
            Precision::F32 => "F32",
            Precision::F16 => "F16",
        };
        header.insert(tensor.name.clone(), json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [at, end] }));
        at = end;
    }
    let mut header = Value::Object(header).to_string();
    // Values begin at a multiple of eight.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut file = BufWriter::new(File::create_new(path).map_err(io)?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    file.write_all(header.as_bytes()).map_err(io)?;
    for tensor in tensors {
        let stored = bytes(&tensor.read(reader)?, tensor.precision(precision));
        file.write_all(&stored).map_err(io)?;
        tally.add(stored.len())?;
    }
    file.flush().map_err(io)?;
    exported.tensors += tensors.len();
    exported.bytes += (8 + header.len() + at) as u64;
    Ok(())
}
