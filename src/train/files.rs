//! Files that are there whole or not at all.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use crate::error::{Error, Result};
use crate::files::put;
pub use crate::files::replace;

/// Writes f32 tensors, and `metadata`, one after the other.
///
/// # Errors
/// `Io` naming the file.
pub fn write<'a>(
    path: &Path,
    tensors: impl Iterator<Item = (String, Vec<usize>, &'a [f32])>,
    metadata: Option<std::collections::HashMap<String, String>>,
) -> Result<()> {
    let view = |(name, shape, values): (String, Vec<usize>, &'a [f32])| {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        TensorView::new(Dtype::F32, shape, bytes).map(|view| (name, view))
    };
    let views = tensors.map(view).collect::<Result<Vec<_>, _>>().map_err(|e| Error::internal(e.to_string()))?;
    put(path, |file| serialize_to_file(views, metadata, file.path()).map_err(std::io::Error::other))
}
