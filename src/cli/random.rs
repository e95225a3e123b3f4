//! `diffcr random`: a bundle of random weights, to see what a model of some size costs.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::convert::{parse_chunk, parse_encoding};
use super::shared::{Shared, Watched, size};
use crate::bundle::manifest::{Encoding, Parts};
use crate::convert::policy::{Policy, Scheme};
use crate::convert::random::{RandomOptions, random};
use crate::error::{Error, Result};
use crate::files;

#[derive(Debug, Args)]
pub struct RandomArgs {
    /// JSON file with the `parts` of a bundle's diffcr.json.
    parts: PathBuf,
    /// The folder that the bundle becomes.
    #[arg(long)]
    out: PathBuf,
    /// The tokenizer.json, where the parts have one.
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// f32, f16, q8, q4 or mixed, as of `convert`.
    #[arg(long, default_value = "f16")]
    encoding: Scheme,
    /// f32, f16, q8 or q4 for the text encoder's table [default: as --encoding says].
    #[arg(long, value_parser = parse_encoding)]
    table: Option<Encoding>,
    /// MiB of a chunk, at most.
    #[arg(long, default_value = "16", value_parser = parse_chunk)]
    chunk_mib: f64,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Replace a bundle that is there.
    #[arg(long)]
    force: bool,
}

pub fn run(args: &RandomArgs, shared: &Shared) -> Result<()> {
    let parts: Parts =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&files::read_text(&args.parts)?))
            .map_err(|e| Error::input("PARTS", e.to_string()))?;
    let options = RandomOptions {
        out: args.out.clone(),
        force: args.force,
        parts,
        tokenizer: args.tokenizer.clone(),
        policy: Policy { table: args.table, ..Policy::new(args.encoding) },
        chunk_bytes: (args.chunk_mib * 1_048_576.0) as u64,
        seed: args.seed,
    };
    let mut watched = Watched::new(shared.bytes_bar(0))?;
    let made = random(&options, &mut watched);
    watched.bar.finish_and_clear();
    let manifest = made?;
    let (files, bytes) = (manifest.files.len(), manifest.total_bytes());
    shared.result(
        &json!({ "out": args.out, "files": files, "tensors": manifest.tensors.len(), "bytes": bytes }),
        &format!("{}: {files} files, {}", args.out.display(), size(bytes)),
    )
}
