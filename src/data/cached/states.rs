//! The captions of a cache as a text encoder's states: unpadded, f16, a file for every file of latents and one for the empty caption.

use std::fs::File;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::data::safetensors_file::{open, read_at, read_f16};
use crate::error::{Error, Result};

/// The states of the empty caption.
pub const EMPTY: &str = "states-empty.safetensors";
const STATES: &str = "states";
const LENGTHS: &str = "lengths";

/// Whose states a cache holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextHeader {
    /// Fingerprint of the text encoder and its tokenizer.
    pub encoder: String,
    /// Of a token's state.
    pub width: usize,
}

/// The states of captions, `[tokens, width]` each.
pub type States = Vec<Vec<f32>>;

/// The file with that number.
pub fn file_name(index: usize) -> String {
    format!("states-{index:05}.safetensors")
}

/// The bytes of a file: `states` f16 `[Σ tokens, width]` and `lengths` u32 `[captions]`.
///
/// # Errors
/// `Internal` where states are not so wide.
pub fn write(states: &States, width: usize) -> Result<Vec<u8>> {
    let fault = |e: String| Error::internal(e);
    if states.iter().any(|s| s.is_empty() || s.len() % width.max(1) != 0) {
        return Err(fault(format!("the states of a caption are not {width} wide")));
    }
    let lengths: Vec<u8> = states.iter().flat_map(|s| ((s.len() / width) as u32).to_le_bytes()).collect();
    let values: Vec<u8> = states.iter().flatten().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    let view = |dtype, shape, bytes| TensorView::new(dtype, shape, bytes).map_err(|e| fault(e.to_string()));
    let rows = values.len() / (2 * width);
    let views = [
        (STATES, view(Dtype::F16, vec![rows, width], &values)?),
        (LENGTHS, view(Dtype::U32, vec![states.len()], &lengths)?),
    ];
    serialize(views, None).map_err(|e| fault(e.to_string()))
}

/// A file of states, open.
#[derive(Debug)]
pub struct StatesFile {
    path: PathBuf,
    file: File,
    /// The first row of every caption, and the end of the last.
    rows: Vec<u64>,
    /// Bytes before the values.
    start: u64,
    width: usize,
}

impl StatesFile {
    /// # Errors
    /// `Integrity` naming the file where it is missing, damaged, or holds fewer captions.
    pub fn open(path: PathBuf, captions: usize, width: usize) -> Result<Self> {
        let damaged = |reason: String| Error::integrity(path.display().to_string(), reason);
        let (file, metadata, start) = open(&path)?;
        let place = |name: &str, dtype: Dtype| metadata.info(name).filter(|info| info.dtype == dtype);
        let (Some(states), Some(lengths)) = (place(STATES, Dtype::F16), place(LENGTHS, Dtype::U32)) else {
            return Err(damaged("it holds no states".into()));
        };
        let mut bytes = vec![0; lengths.data_offsets.1 - lengths.data_offsets.0];
        read_at(&file, &mut bytes, start + lengths.data_offsets.0 as u64).map_err(|e| Error::io(&path, e))?;
        let mut rows = vec![0u64];
        for word in bytes.chunks_exact(4) {
            let length = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            rows.push(rows.last().copied().unwrap_or(0) + u64::from(length));
        }
        let end = rows.last().copied().unwrap_or(0);
        if rows.len() <= captions || states.shape[..] != [end as usize, width] || !rows.is_sorted_by(|a, b| a < b) {
            return Err(damaged(format!("it does not hold the states of {captions} captions, {width} wide")));
        }
        Ok(Self { rows, start: start + states.data_offsets.0 as u64, width, file, path })
    }

    /// The states of a caption.
    ///
    /// # Errors
    /// `Io` where they cannot be read, `Internal` where there is no such caption.
    pub fn of(&self, caption: usize) -> Result<Vec<f32>> {
        let (Some(&from), Some(&to)) = (self.rows.get(caption), self.rows.get(caption + 1)) else {
            return Err(Error::internal(format!("{} has no caption {caption}", self.path.display())));
        };
        let (at, count) = (self.start + 2 * self.width as u64 * from, self.width * (to - from) as usize);
        read_f16(&self.file, at, count).map_err(|e| Error::io(&self.path, e))
    }
}

/// The states of the empty caption in `dir`.
///
/// # Errors
/// As [`StatesFile::open`].
pub fn empty(dir: &Path, width: usize) -> Result<Vec<f32>> {
    StatesFile::open(dir.join(EMPTY), 1, width)?.of(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_as_f16_holds_them() {
        let dir = std::env::temp_dir().join(format!("diffcr-states-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let states = vec![vec![0.5, -2.0, 1.0, 3.0], vec![0.25, 4.0]];
        let path = dir.join(file_name(0));
        std::fs::write(&path, write(&states, 2).unwrap()).unwrap();
        let file = StatesFile::open(path.clone(), 2, 2).unwrap();
        assert_eq!((file.of(0).unwrap(), file.of(1).unwrap()), (states[0].clone(), states[1].clone()));
        assert!(file.of(2).is_err() && StatesFile::open(path.clone(), 3, 2).is_err());
        assert!(StatesFile::open(path, 2, 3).is_err() && write(&states, 4).is_err());
        assert!(empty(&dir, 2).unwrap_err().to_string().contains("states-empty.safetensors: it is missing"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
