//! Bundles become what other programs read: a diffusers folder, or a `.pth` under the authors' names. Nobody is locked in.
//!
//! ```text
//! bundle ─ reader (a tensor's values, unpacked) ─ tensor (foreign names and shapes) ─ diffusers or pth ─ safetensors or torch (one tensor at a time)
//! ```

mod configs;
mod diffusers;
mod options;
mod pth;
mod reader;
mod safetensors;
mod tensor;
mod torch;

use crate::bundle::folder::read_manifest;
use crate::bundle::manifest::Manifest;
use crate::bundle::whole;
use crate::convert::progress::Progress;
use crate::error::{Error, Result};
use crate::files;
pub use options::{ExportOptions, Exported, Layout, Precision};
use reader::BundleReader;

/// Writes the bundle `options.src` in another layout; quantized tensors become what they stand for.
///
/// # Errors
/// As the loader's on a bundle that is not whole; `ModelInvalid` on one that the layout has no words for; `InvalidInput` on `out` where something is
/// there; `Cancelled` when `progress` says so. Whatever fails, nothing is left behind.
pub fn export(options: &ExportOptions, progress: &mut dyn Progress) -> Result<Exported> {
    if options.out.symlink_metadata().is_ok() {
        return Err(Error::input("out", format!("{} is there already", options.out.display())));
    }
    let manifest = read_manifest(&options.src)?;
    whole::check(&manifest)?;
    let mut reader = BundleReader::new(&options.src, &manifest);
    let mut exported = Exported { tensors: 0, bytes: 0, notes: notes(&manifest) };
    match options.layout {
        Layout::DiffcrPth => {
            files::check_target("out", &options.out)?;
            pth::write(&manifest, &mut reader, options, &mut exported, progress)?;
        }
        Layout::Diffusers => {
            let parent =
                options.out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
            let folder = files::temporary_folder(parent)?;
            diffusers::write(&manifest, &mut reader, folder.path(), options.precision, &mut exported, progress)?;
            let done = folder.keep();
            std::fs::rename(&done, &options.out).map_err(|e| {
                let _ = std::fs::remove_dir_all(&done);
                Error::io(&options.out, e)
            })?;
        }
    }
    Ok(exported)
}

/// What a checkpoint's `diff_ratio` cannot say of the bundle's routing.
fn notes(manifest: &Manifest) -> Vec<String> {
    let Some(routing) = &manifest.routing else { return vec![] };
    let mut notes = Vec::new();
    if routing.presets.len() > 1 {
        notes.push(format!("of {} presets, diff_ratio is {:?}", routing.presets.len(), routing.default));
    }
    if routing.score_gain != 1.0 {
        notes.push(format!(
            "the gain of the routers' scores, {}, has no place: multiply them by it",
            routing.score_gain
        ));
    }
    notes
}
