//! Writing: under a name of chance in the same folder, opened for nobody else, and renamed when all is there.

use std::io::Write;
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempDir};

use super::kind::kind;
use crate::error::{Error, Result};

/// Whether a file can be written at `path`, before the work for it is done: its folder takes one, and nothing but a file is there.
///
/// # Errors
/// `InvalidInput` naming `field` where `path` cannot be a file; `Io` where its folder takes none.
pub fn check_target(field: &str, path: &Path) -> Result<()> {
    free(field, path)?;
    temporary(path).map(drop)
}

/// Has a file written, then gives it its name.
///
/// # Errors
/// `Io` naming the file, of which nothing is then left; as [`check_target`].
pub fn put(path: &Path, write: impl FnOnce(&mut NamedTempFile) -> std::io::Result<()>) -> Result<()> {
    free("out", path)?;
    let mut file = temporary(path)?;
    write(&mut file).and_then(|()| file.as_file().sync_all()).map_err(|e| Error::io(path, e))?;
    file.persist(path).map(drop).map_err(|e| Error::io(path, e.error))
}

/// Writes `bytes` as the file.
///
/// # Errors
/// As [`put`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, |file| file.write_all(bytes))
}

/// A folder of a name of chance in `parent`, deleted when it is dropped.
///
/// # Errors
/// `Io` naming `parent`.
pub fn temporary_folder(parent: &Path) -> Result<TempDir> {
    with_usual_rights(&mut builder(), 0o777).tempdir_in(parent).map_err(|e| Error::io(parent, e))
}

fn free(field: &str, path: &Path) -> Result<()> {
    let fault = |reason: String| Err(Error::input(field, reason));
    if path.file_name().is_none() {
        return fault(format!("{} is not the name of a file", path.display()));
    }
    match std::fs::metadata(path).ok().and_then(|there| kind(&there)) {
        Some(kind) => fault(format!("{} is {kind}, which is not replaced by a file", path.display())),
        None => Ok(()),
    }
}

fn temporary(path: &Path) -> Result<NamedTempFile> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    with_usual_rights(&mut builder(), 0o666).tempfile_in(parent).map_err(|e| Error::io(path, e))
}

fn builder() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".diffcr-").suffix(".tmp");
    builder
}

/// The rights that any new file has, not those of a secret.
fn with_usual_rights<'a>(builder: &'a mut Builder<'static, 'static>, mode: u32) -> &'a Builder<'static, 'static> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    let _ = mode;
    builder
}
