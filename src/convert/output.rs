//! The place a bundle is written to: a temporary folder beside its own, which takes its name at the end or leaves nothing.

use std::path::{Path, PathBuf};

use crate::bundle::manifest::MANIFEST_FILE;
use crate::error::{Error, Result};

/// A folder that is deleted unless it is finished.
#[derive(Debug)]
pub struct OutputFolder {
    target: PathBuf,
    temporary: PathBuf,
    force: bool,
}

impl OutputFolder {
    /// Prepares to write `target`. Something that is there already is replaced only by `force`, and only if it is a bundle.
    pub fn create(target: &Path, force: bool) -> Result<Self> {
        let fault = |reason: &str| Error::input("out", format!("{} {reason}", target.display()));
        check_free(target, force)?;
        let name = target.file_name().ok_or_else(|| fault("is not the name of a folder"))?;
        let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = parent.join(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        std::fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        std::fs::create_dir(&temporary).map_err(|e| Error::io(&temporary, e))?;
        Ok(Self { target: target.to_owned(), temporary, force })
    }

    /// Where files go meanwhile.
    pub fn dir(&self) -> &Path {
        &self.temporary
    }

    /// Gives the folder its name; what had it is deleted afterwards.
    pub fn finish(self) -> Result<()> {
        let rename = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| Error::io(to, e));
        check_free(&self.target, self.force)?;
        let old = self.temporary.with_extension("old");
        let replaced = self.target.exists();
        if replaced {
            rename(&self.target, &old)?;
        }
        if let Err(error) = rename(&self.temporary, &self.target) {
            if replaced {
                rename(&old, &self.target)?;
            }
            return Err(error);
        }
        if replaced {
            std::fs::remove_dir_all(&old).map_err(|e| Error::io(&old, e))?;
        }
        Ok(())
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        if self.temporary.exists() {
            // Nothing better can be done here about a folder that cannot be deleted than to leave it.
            let _ = std::fs::remove_dir_all(&self.temporary);
        }
    }
}

/// `target` is free: absent, an empty folder, or a bundle that may be replaced.
fn check_free(target: &Path, force: bool) -> Result<()> {
    let fault = |reason: &str| Err(Error::input("out", format!("{} {reason}", target.display())));
    if !target.exists() || std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none()) {
        return Ok(());
    }
    match (force, target.join(MANIFEST_FILE).is_file()) {
        (true, true) => Ok(()),
        (true, false) => fault("is there already and is not a bundle: it is not replaced"),
        (false, _) => fault("is there already: give --force to replace it"),
    }
}
