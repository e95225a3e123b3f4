//! Where a stage's pictures come from.

use std::path::Path;

use super::config::{Task, TrainConfig};
use super::stage::Stage;
use crate::data::random::Random;
use crate::data::stickers::Art;
use crate::data::stickers::art::INSTALLED;
use crate::data::{FolderSource, ScenesSource, Source, StickersSource};
use crate::error::Result;

/// The number that stands for pictures which no stage trains on.
const HELD_OUT: u64 = 1 << 20;

/// The pictures of the stage with that number.
///
/// # Errors
/// Those of the source.
pub fn of_stage(config: &TrainConfig, index: usize, stage: &Stage) -> Result<Box<dyn Source>> {
    open(config, index as u64 + 2, stage.plain, stage.pairs)
}

/// Drawn pictures that no stage trains on; none from a folder.
///
/// # Errors
/// Those of the source.
pub fn held_out(config: &TrainConfig) -> Result<Option<Box<dyn Source>>> {
    if !["scenes", "stickers"].contains(&config.source.as_str()) {
        return Ok(None);
    }
    open(config, HELD_OUT, 0.0, 0.0).map(Some)
}

fn open(config: &TrainConfig, stream: u64, plain: f64, pairs: f64) -> Result<Box<dyn Source>> {
    let seed = Random::new(config.seed, stream).below(1 << 32) as u64;
    let holes = config.task == Task::Inpaint;
    Ok(match config.source.as_str() {
        "scenes" => Box::new(ScenesSource::new(seed).with_plain(plain, pairs).with_holes(holes)),
        "stickers" => {
            let art = Art::open(Path::new(INSTALLED))?;
            Box::new(StickersSource::new(art, seed).with_plain(plain, pairs).with_holes(holes))
        }
        folder => Box::new(FolderSource::open(Path::new(folder), seed)?.with_holes(holes)),
    })
}
