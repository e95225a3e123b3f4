//! A folder of captioned pictures, in any layout that [`list`] knows.

mod list;
mod tar;

use std::collections::HashMap;
use std::path::Path;

use image::RgbImage;
use image::imageops::{FilterType, crop_imm, resize};

pub use list::Skipped;
pub(super) use list::{Entry, LONGEST, entries};
use list::{Item, Place, fault, list};

use super::decode::decode;
use super::epochs::Epochs;
use super::{Batch, Source, Split, hole};
use crate::data::random::Random;
use crate::error::{Error, Result};

/// Bytes of decoded pictures that are kept, so that a small folder is decoded once.
const CACHE_BYTES: usize = 512 << 20;
/// Streams of the seed for the captions and holes of batches; an epoch's order has one of the others.
const HOLES: u64 = 1 << 63;

/// Pictures of a folder, every one once an epoch, in an order that the seed decides.
#[derive(Debug)]
pub struct FolderSource {
    items: Vec<Item>,
    seed: u64,
    next: u64,
    epochs: Epochs,
    skipped: Skipped,
    cache: HashMap<(usize, usize), RgbImage>,
    cached: usize,
    holes: bool,
}

impl FolderSource {
    /// Lists the folder; pictures are read when their turn comes.
    ///
    /// # Errors
    /// `Io` or `InvalidInput` naming the file: no picture with a caption, or a list that is damaged.
    pub fn open(dir: &Path, seed: u64, split: Split) -> Result<Self> {
        let (items, skipped) = list(dir)?;
        let lines = skipped.lines();
        if items.is_empty() {
            let without = if lines.is_empty() { String::new() } else { format!("; left aside: {}", lines.join("; ")) };
            return Err(fault(dir, &format!("it has no PNG, JPEG or WebP with a caption{without}")));
        }
        lines.iter().for_each(|line| log::warn!("{}: left aside {line}", dir.display()));
        let mine = split.of(items.len()).into_iter();
        let turns = mine.flat_map(|i| std::iter::repeat_n(i, items[i].repeats)).collect();
        let epochs = Epochs::new(turns, seed);
        Ok(Self { items, seed, next: 0, epochs, skipped, cache: HashMap::new(), cached: 0, holes: false })
    }

    /// What of the folder is left aside.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// The same with holes, anywhere in the pictures.
    pub fn with_holes(self, holes: bool) -> Self {
        Self { holes, ..self }
    }

    /// Pictures in the folder.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn append(&mut self, index: usize, size: usize, into: &mut Vec<f32>) -> Result<()> {
        if let Some(image) = self.cache.get(&(index, size)) {
            append(image, into);
            return Ok(());
        }
        let image = read(&self.items[index].place, size)?;
        append(&image, into);
        if self.cached + image.len() <= CACHE_BYTES {
            self.cached += image.len();
            self.cache.insert((index, size), image);
        }
        Ok(())
    }
}

impl Source for FolderSource {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let start = self.next.saturating_mul(count as u64);
        let mut random = Random::new(self.seed, HOLES.wrapping_add(self.next));
        self.next += 1;
        let mut batch = Batch::pictures(size);
        for position in 0..count as u64 {
            let index = self.epochs.at(start.saturating_add(position));
            self.append(index, size, &mut batch.images)?;
            if self.holes {
                batch.masks.extend(hole(&mut random, &[], size));
            }
            batch.captions.push(choose(&mut random, &self.items[index].captions));
        }
        Ok(batch)
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
    }

    fn pictures(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The middle square of a picture, resized.
fn read(place: &Place, size: usize) -> Result<RgbImage> {
    let image = decode(&place.read()?, &place.name())?;
    let (width, height) = image.dimensions();
    let side = width.min(height);
    let square = crop_imm(&image, (width - side) / 2, (height - side) / 2, side, side).to_image();
    let size = u32::try_from(size).map_err(|_| Error::input("size", format!("{size} pixels are too many")))?;
    Ok(if side == size { square } else { resize(&square, size, size, FilterType::Triangle) })
}

/// Appends `[3, H, W]` in [-1, 1].
fn append(image: &RgbImage, into: &mut Vec<f32>) {
    for channel in 0..3 {
        into.extend(image.pixels().map(|pixel| f32::from(pixel.0[channel]) / 127.5 - 1.0));
    }
}

/// One of the captions, by their weights.
fn choose(random: &mut Random, captions: &[(String, f64)]) -> String {
    let mut left = random.unit() * captions.iter().map(|(_, weight)| weight).sum::<f64>();
    for (text, weight) in captions {
        if left < *weight {
            return text.clone();
        }
        left -= weight;
    }
    captions.last().map_or_else(String::new, |(text, _)| text.clone())
}

#[cfg(test)]
mod tests;
