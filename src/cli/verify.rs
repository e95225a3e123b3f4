//! `diffcr verify`: every hash, length, name, shape and type of a bundle; the first fault is the error.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::shared::{Shared, size};
use crate::bundle::folder::{read_manifest, verify_folder};
use crate::error::Result;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The bundle.
    dir: PathBuf,
}

pub fn run(args: &VerifyArgs, shared: &Shared) -> Result<()> {
    let bar = shared.bytes_bar(read_manifest(&args.dir)?.total_bytes());
    let verified = verify_folder(&args.dir, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let manifest = verified?;
    let (files, tensors, bytes) = (manifest.files.len(), manifest.tensors.len(), manifest.total_bytes());
    shared.result(
        &json!({ "ok": true, "name": manifest.name, "version": manifest.version, "files": files, "tensors": tensors, "bytes": bytes }),
        &format!("{} is whole: {files} files, {tensors} tensors, {}", manifest.name, size(bytes)),
    );
    Ok(())
}
