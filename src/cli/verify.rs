//! `diffcr verify`: every hash, length, name, shape and type of a bundle; the first fault is the error.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::shared::{Shared, size};
use crate::bundle::folder::{read_manifest, verify_folder};
use crate::bundle::manifest::Part;
use crate::error::Result;
use crate::model::tokenizer::Tokenizer;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The bundle.
    dir: PathBuf,
}

pub fn run(args: &VerifyArgs, shared: &Shared) -> Result<()> {
    let manifest = read_manifest(&args.dir)?;
    let bar = shared.bytes_bar(manifest.total_bytes());
    let parts = &manifest.parts;
    let verified = verify_folder(&args.dir, |entry, bytes| {
        bar.inc(entry.bytes);
        match parts.tokenizer.as_ref().filter(|_| entry.part == Part::Tokenizer) {
            Some(config) => Tokenizer::from_json(bytes, config, parts.vocab_size()).map(drop),
            None => Ok(()),
        }
    });
    bar.finish_and_clear();
    let manifest = verified?;
    let (files, tensors, bytes) = (manifest.files.len(), manifest.tensors.len(), manifest.total_bytes());
    shared.result(
        &json!({ "ok": true, "name": manifest.name, "version": manifest.version, "files": files, "tensors": tensors, "bytes": bytes }),
        &format!("{} is whole: {files} files, {tensors} tensors, {}", manifest.name, size(bytes)),
    )
}
