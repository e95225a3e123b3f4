//! Where a stage's pictures come from.

use std::path::Path;

use super::config::{ALL_STICKERS, Task, TrainConfig};
use super::stage::Stage;
use crate::data::random::Random;
use crate::data::stickers::art::INSTALLED;
use crate::data::stickers::{Art, Pairs};
use crate::data::{CachedSource, Flips, FolderSource, Header, ScenesSource, Source, Split, StickersSource};
use crate::error::{Error, Result};

/// The number that stands for pictures which no stage trains on.
const HELD_OUT: u64 = 1 << 20;

/// The pictures of the stage with that number.
///
/// # Errors
/// Those of the source.
pub fn of_stage(config: &TrainConfig, index: usize, stage: &Stage) -> Result<Box<dyn Source>> {
    let shares = Shares { plain: stage.plain, pairs: stage.pairs };
    let seed = seed(config, index as u64 + 2);
    let pictures = kind(
        &config.source,
        seed,
        shares,
        config.task == Task::Inpaint,
        Split::Training { held_out: config.progress.held_out },
    )?;
    match (config.flip, pictures.autoencoder()) {
        (false, _) => Ok(pictures),
        (true, None) => Ok(Box::new(Flips::new(pictures, seed))),
        (true, Some(_)) => Err(Error::input("flip", "latents of a cache cannot be mirrored")),
    }
}

/// Pictures that no stage trains on; none where the run asks for none.
///
/// # Errors
/// Those of the source.
pub fn held_out(config: &TrainConfig) -> Result<Option<Box<dyn Source>>> {
    let held_out = config.progress.held_out;
    if held_out == 0 {
        return Ok(None);
    }
    let holes = config.task == Task::Inpaint;
    kind(&config.source, seed(config, HELD_OUT), Shares::default(), holes, Split::HeldOut { held_out }).map(Some)
}

fn seed(config: &TrainConfig, stream: u64) -> u64 {
    Random::new(config.seed, stream).below(1 << 32) as u64
}

/// Whether a source draws its pictures.
pub fn is_drawn(name: &str) -> bool {
    ["scenes", "stickers", ALL_STICKERS].contains(&name)
}

/// A source by its name, without holes: `scenes`, `stickers`, a folder of pictures, or a cache.
///
/// # Errors
/// Those of the source.
pub fn open(name: &str, seed: u64, shares: Shares) -> Result<Box<dyn Source>> {
    kind(name, seed, shares, false, Split::ALL)
}

/// Shares of the pictures with one thing, and with two, on a plain background.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shares {
    pub plain: f64,
    pub pairs: f64,
}

fn kind(name: &str, seed: u64, Shares { plain, pairs }: Shares, holes: bool, split: Split) -> Result<Box<dyn Source>> {
    Ok(match name {
        "scenes" => Box::new(ScenesSource::new(seed).with_plain(plain, pairs).with_holes(holes)),
        "stickers" | ALL_STICKERS => {
            let art = Art::open(Path::new(INSTALLED))?;
            let shown = if name == ALL_STICKERS { Pairs::All } else { Pairs::Training };
            Box::new(StickersSource::new(art, seed).showing(shown).with_plain(plain, pairs).with_holes(holes))
        }
        folder if Header::read(Path::new(folder))?.is_some() => {
            if holes {
                return Err(Error::input("task", "a cache of latents has no holes"));
            }
            Box::new(CachedSource::open(Path::new(folder), seed, split)?)
        }
        folder => Box::new(FolderSource::open(Path::new(folder), seed, split)?.with_holes(holes)),
    })
}
