//! `diffcr stickers`: a sheet of captioned stickers to look at, a folder that a trainer reads, or the tokenizer of their words.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::shared::Shared;
use crate::data::random::Random;
use crate::data::stickers::art::INSTALLED;
use crate::data::stickers::vocabulary::tokenizer;
use crate::data::stickers::{Art, Pairs, concepts, describe, render};
use crate::error::{Error, Result};
use crate::files;
use crate::pipeline::png;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["sheet", "out", "tokenizer"])))]
pub struct StickersArgs {
    /// A PNG with every picture, in rows; captions are printed.
    #[arg(long)]
    sheet: Option<PathBuf>,
    /// A folder of pictures with `metadata.jsonl`: new or empty.
    #[arg(long)]
    out: Option<PathBuf>,
    /// A `tokenizer.json` of all words that captions have.
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Pictures to draw.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// Pictures in a row of the sheet.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    columns: u32,
    /// Pixels of a side.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=1024))]
    size: u32,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draw the pairs of thing and colour that training never sees.
    #[arg(long)]
    held_out: bool,
    /// The `node_modules` with the drawings.
    #[arg(long, default_value = INSTALLED)]
    art: PathBuf,
}

/// Picture `i` depends on the seed and `i` alone. A folder's `metadata.jsonl` is written last: a folder that has it is complete.
pub fn run(args: &StickersArgs, shared: &Shared) -> Result<()> {
    args.sheet.as_deref().map_or(Ok(()), |path| files::check_target("sheet", path))?;
    if let Some(path) = &args.tokenizer {
        let json = tokenizer();
        let words = json["model"]["vocab"].as_object().map_or(0, serde_json::Map::len);
        files::replace(path, &serde_json::to_vec_pretty(&json).map_err(|e| Error::internal(e.to_string()))?)?;
        shared.result(
            &json!({ "out": path, "words": words, "concepts": concepts().len() }),
            &format!("{}: {words} words for {} things", path.display(), concepts().len()),
        )?;
    }
    let mut art = match (&args.sheet, &args.out) {
        (None, None) => return Ok(()),
        _ => Art::open(&args.art)?,
    };
    let pairs = if args.held_out { Pairs::HeldOut } else { Pairs::Training };
    let size = args.size as usize;
    let mut draw = |i: u32| {
        let sticker = describe(&mut Random::new(args.seed, u64::from(i)), pairs, None, false);
        render(&sticker, &mut art, size).map(|picture| (sticker, picture))
    };
    if let Some(path) = &args.sheet {
        let (mut captions, mut pictures) = (Vec::new(), Vec::new());
        for i in 0..args.count {
            let (sticker, picture) = draw(i)?;
            captions.push(sticker.caption);
            pictures.push(picture);
        }
        files::replace(path, &png::sheet(&pictures, size, args.columns.min(args.count) as usize)?)?;
        let text: Vec<String> = captions.iter().enumerate().map(|(i, c)| format!("{i:3} {c}")).collect();
        shared.result(&json!({ "out": path, "captions": captions }), &text.join("\n"))?;
    }
    if let Some(out) = &args.out {
        let io = |e| Error::io(out, e);
        std::fs::create_dir_all(out).map_err(io)?;
        if std::fs::read_dir(out).map_err(io)?.next().is_some() {
            return Err(Error::input("out", format!("{} is not empty", out.display())));
        }
        let mut metadata = String::new();
        for i in 0..args.count {
            let (sticker, picture) = draw(i)?;
            let name = format!("{i:05}.png");
            files::replace(&out.join(&name), &png::encode(&picture, size, size)?)?;
            metadata += &format!("{}\n", json!({ "file_name": name, "text": sticker.caption, "sticker": sticker }));
        }
        files::replace(&out.join("metadata.jsonl"), metadata.as_bytes())?;
        shared.result(
            &json!({ "out": out, "count": args.count, "size": args.size, "seed": args.seed }),
            &format!("{}: {} pictures of {size} x {size} pixels", out.display(), args.count),
        )?;
    }
    Ok(())
}
