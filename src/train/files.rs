//! Files that are there whole or not at all.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use crate::error::{Error, Result};

/// Writes f32 tensors, and `metadata`, one after the other under a temporary name, then gives the file its own.
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
    put(path, |temporary| {
        serialize_to_file(views, metadata, temporary).map_err(std::io::Error::other)?;
        std::fs::File::open(temporary)?.sync_all()
    })
}

/// Writes a file under a temporary name, then gives it its own.
///
/// # Errors
/// `Io` naming the file.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, |temporary| {
        let mut file = std::fs::File::create(temporary)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    })
}

/// Has a file written under a temporary name beside `path`, then gives it that name.
fn put(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    write(&temporary).and_then(|()| std::fs::rename(&temporary, path)).map_err(|e| {
        let _ = std::fs::remove_file(&temporary); // what went wrong first is what is told
        Error::io(path, e)
    })
}
