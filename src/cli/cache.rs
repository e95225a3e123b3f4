//! `diffcr cache`: pictures are encoded once, for any number of runs.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::shared::{Shared, Watched};
use crate::error::Result;
use crate::train::cache::{CacheOptions, cache};

#[derive(Debug, Args)]
pub struct CacheArgs {
    /// `scenes`, `stickers`, or a folder of captioned pictures.
    #[arg(long)]
    source: String,
    /// A bundle with an autoencoder, or the folder that `train vae` wrote.
    #[arg(long)]
    autoencoder: PathBuf,
    /// A bundle whose text encoder turns captions into states: a run that leaves it as it is then needs no text encoder.
    #[arg(long, value_name = "BUNDLE")]
    text_encoder: Option<PathBuf>,
    /// Take the latents and text states that PixArt's own scripts wrote into the folder, instead of encoding anything anew.
    #[arg(long, requires = "text_encoder")]
    features: bool,
    /// The cache: new, or one of the same settings that goes on; then it is the `source` of a run.
    #[arg(long)]
    out: PathBuf,
    /// Pixels of a side.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Pictures to encode; all of a folder's unless given.
    #[arg(long)]
    count: Option<usize>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of pictures with one thing on a plain background, of a source that draws.
    #[arg(long, default_value_t = 0.0)]
    plain: f64,
    /// Share of pictures with two things on a plain background.
    #[arg(long, default_value_t = 0.0)]
    pairs: f64,
    /// Encode the I-th part of N alone: other processes, here or on other machines, do the rest.
    #[arg(long, value_name = "I/N", default_value = "0/1", value_parser = shard)]
    shard: [usize; 2],
    /// Threads; 0 for one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn shard(text: &str) -> std::result::Result<[usize; 2], String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some([i.parse().ok()?, n.parse().ok()?]));
    parsed.filter(|[i, n]| i < n).ok_or_else(|| format!("{text} is not I/N with I below N"))
}

pub fn run(args: &CacheArgs, shared: &Shared) -> Result<()> {
    let options = CacheOptions {
        source: args.source.clone(),
        seed: args.seed,
        plain: args.plain,
        pairs: args.pairs,
        autoencoder: args.autoencoder.clone(),
        text_encoder: args.text_encoder.clone(),
        features: args.features,
        size: args.size,
        count: args.count,
        out: args.out.clone(),
        shard: args.shard,
        threads: args.threads,
    };
    let mut watched = Watched::new(shared.count_bar("pictures", 0))?;
    let done = cache(&options, &mut watched)?;
    watched.bar.finish_and_clear();
    let missing = match done.missing {
        0 => String::new(),
        n => format!(", {n} left to other shards"),
    };
    shared.result(
        &json!({ "out": args.out, "count": done.count, "files": done.files, "written": done.written, "missing": done.missing }),
        &format!(
            "{}: {} pictures in {} files, {} of them written now{missing}",
            args.out.display(), done.count, done.files, done.written
        ),
    )
}
