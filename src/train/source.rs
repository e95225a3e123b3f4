//! Where a stage's pictures come from.

use std::path::Path;

use super::config::{Task, TrainConfig};
use super::stage::Stage;
use crate::data::random::Random;
use crate::data::stickers::Art;
use crate::data::stickers::art::INSTALLED;
use crate::data::{CachedSource, FolderSource, Header, ScenesSource, Source, StickersSource};
use crate::error::{Error, Result};

/// The number that stands for pictures which no stage trains on.
const HELD_OUT: u64 = 1 << 20;

/// The pictures of the stage with that number.
///
/// # Errors
/// Those of the source.
pub fn of_stage(config: &TrainConfig, index: usize, stage: &Stage) -> Result<Box<dyn Source>> {
    drawn(config, index as u64 + 2, stage.plain, stage.pairs)
}

/// Drawn pictures that no stage trains on; none from a folder.
///
/// # Errors
/// Those of the source.
pub fn held_out(config: &TrainConfig) -> Result<Option<Box<dyn Source>>> {
    if !["scenes", "stickers"].contains(&config.source.as_str()) {
        return Ok(None);
    }
    drawn(config, HELD_OUT, 0.0, 0.0).map(Some)
}

fn drawn(config: &TrainConfig, stream: u64, plain: f64, pairs: f64) -> Result<Box<dyn Source>> {
    let seed = Random::new(config.seed, stream).below(1 << 32) as u64;
    kind(&config.source, seed, Shares { plain, pairs, holes: config.task == Task::Inpaint })
}

/// A source by its name, without plain shares and holes: `scenes`, `stickers`, a folder of pictures, or a cache.
///
/// # Errors
/// Those of the source.
pub fn open(name: &str, seed: u64) -> Result<Box<dyn Source>> {
    kind(name, seed, Shares { plain: 0.0, pairs: 0.0, holes: false })
}

/// What a run asks of its source.
struct Shares {
    plain: f64,
    pairs: f64,
    holes: bool,
}

fn kind(name: &str, seed: u64, Shares { plain, pairs, holes }: Shares) -> Result<Box<dyn Source>> {
    Ok(match name {
        "scenes" => Box::new(ScenesSource::new(seed).with_plain(plain, pairs).with_holes(holes)),
        "stickers" => {
            let art = Art::open(Path::new(INSTALLED))?;
            Box::new(StickersSource::new(art, seed).with_plain(plain, pairs).with_holes(holes))
        }
        folder if Header::read(Path::new(folder))?.is_some() => {
            if holes {
                return Err(Error::input("task", "a cache of latents has no holes"));
            }
            Box::new(CachedSource::open(Path::new(folder), seed)?)
        }
        folder => Box::new(FolderSource::open(Path::new(folder), seed)?.with_holes(holes)),
    })
}
