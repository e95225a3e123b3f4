//! `diffcr scenes`: pictures of the procedural source with their captions, as a folder that a trainer reads.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::shared::Shared;
use crate::data::random::Random;
use crate::data::scenes::{describe, render};
use crate::error::{Error, Result};
use crate::files;
use crate::pipeline::png;

#[derive(Debug, Args)]
pub struct ScenesArgs {
    /// Pictures to draw.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// The folder they go to: new or empty.
    #[arg(long)]
    out: PathBuf,
    /// Pixels of a side.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=4096))]
    size: u32,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Picture `i` depends on the seed and `i` alone. `metadata.jsonl` is written last: a folder that has it is complete.
pub fn run(args: &ScenesArgs, shared: &Shared) -> Result<()> {
    let io = |e| Error::io(&args.out, e);
    std::fs::create_dir_all(&args.out).map_err(io)?;
    if std::fs::read_dir(&args.out).map_err(io)?.next().is_some() {
        return Err(Error::input("out", format!("{} is not empty", args.out.display())));
    }
    let size = args.size as usize;
    let mut metadata = String::new();
    for i in 0..args.count {
        let scene = describe(&mut Random::new(args.seed, u64::from(i)));
        let name = format!("{i:05}.png");
        files::replace(&args.out.join(&name), &png::encode(&render(&scene, size), size, size)?)?;
        metadata += &format!("{}\n", json!({ "file_name": name, "text": scene.caption, "scene": scene }));
    }
    files::replace(&args.out.join("metadata.jsonl"), metadata.as_bytes())?;
    shared.result(
        &json!({ "out": args.out, "count": args.count, "size": args.size, "seed": args.seed }),
        &format!("{}: {} pictures of {size} x {size} pixels", args.out.display(), args.count),
    )
}
