//! The place a bundle is written to: a temporary folder beside its own, which takes its name at the end or leaves nothing.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::bundle::manifest::MANIFEST_FILE;
use crate::error::{Error, Result};
use crate::files::temporary_folder;

/// A folder that is deleted unless it is finished.
#[derive(Debug)]
pub struct OutputFolder {
    target: PathBuf,
    /// Where the two are, and then the target.
    parent: PathBuf,
    temporary: TempDir,
    force: bool,
}

/// Whether a bundle can be written at `target`, before the work for it is done.
///
/// # Errors
/// `InvalidInput` on `out`, or `Io` naming the folder that takes nothing.
pub fn check(target: &Path, force: bool) -> Result<()> {
    OutputFolder::create(target, force).map(drop)
}

impl OutputFolder {
    /// Prepares to write `target`. Something that is there already is replaced only by `force`, and only if it is a bundle.
    pub fn create(target: &Path, force: bool) -> Result<Self> {
        check_free(target, force)?;
        let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        let temporary = temporary_folder(parent)?;
        Ok(Self { target: target.to_owned(), parent: parent.to_owned(), temporary, force })
    }

    /// Where files go meanwhile.
    pub fn dir(&self) -> &Path {
        self.temporary.path()
    }

    /// Gives the folder its name; what had it is deleted afterwards.
    pub fn finish(self) -> Result<()> {
        let rename = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| Error::io(to, e));
        check_free(&self.target, self.force)?;
        let old = self.target.exists().then(|| temporary_folder(&self.parent)).transpose()?;
        let kept = old.as_ref().map(|old| old.path().join("old"));
        if let Some(kept) = &kept {
            rename(&self.target, kept)?;
        }
        if let Err(error) = rename(self.temporary.path(), &self.target) {
            if let Some(kept) = &kept {
                rename(kept, &self.target)?;
            }
            return Err(error);
        }
        // The name it had is nothing to delete any more.
        let _ = self.temporary.keep();
        old.map_or(Ok(()), |old| old.close().map_err(|e| Error::io(&self.target, e)))
    }
}

/// `target` is free: absent, an empty folder, or a bundle that may be replaced.
fn check_free(target: &Path, force: bool) -> Result<()> {
    let fault = |reason: &str| Err(Error::input("out", format!("{} {reason}", target.display())));
    if target.file_name().is_none() {
        return fault("is not the name of a folder");
    }
    if !target.exists() || std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none()) {
        return Ok(());
    }
    match (force, target.join(MANIFEST_FILE).is_file()) {
        (true, true) => Ok(()),
        (true, false) => fault("is there already and is not a bundle: it is not replaced"),
        (false, _) => fault("is there already: give --force to replace it"),
    }
}
