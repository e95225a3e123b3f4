//! A folder of images with captions: `name.png` beside `name.txt`, or a `metadata.jsonl` of `file_name` and `text`.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use image::imageops::{FilterType, crop_imm, resize};
use image::{ImageReader, RgbImage};
use serde::Deserialize;

use super::{Batch, Source, hole};
use crate::data::random::Random;
use crate::error::{Error, Result};

/// Bytes of decoded pictures that are kept, so that a small folder is decoded once.
const CACHE_BYTES: usize = 512 << 20;
/// Streams of the seed for the holes of batches; an epoch's order has one of the others.
const HOLES: u64 = 1 << 63;
/// The list of captions, one JSON object a line.
const METADATA: &str = "metadata.jsonl";

/// Pictures of a folder, every one once an epoch, in an order that the seed decides.
#[derive(Debug)]
pub struct FolderSource {
    items: Vec<Item>,
    seed: u64,
    next: u64,
    /// The order of an epoch.
    order: Option<(u64, Vec<usize>)>,
    cache: HashMap<(usize, usize), RgbImage>,
    cached: usize,
    holes: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Item {
    path: PathBuf,
    caption: String,
}

#[derive(Deserialize)]
struct Line {
    file_name: String,
    text: String,
}

impl FolderSource {
    /// Lists the folder; pictures are read when their turn comes.
    ///
    /// # Errors
    /// `Io` or `InvalidInput` naming the file: none there, a picture without a caption, or a line that is no caption.
    pub fn open(dir: &Path, seed: u64) -> Result<Self> {
        let metadata = dir.join(METADATA);
        let items = if metadata.is_file() { listed(dir, &metadata)? } else { paired(dir)? };
        if items.is_empty() {
            return Err(fault(dir, "it has no PNG with a caption"));
        }
        Ok(Self { items, seed, next: 0, order: None, cache: HashMap::new(), cached: 0, holes: false })
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

    /// Which picture is at `position` of the endless series of epochs.
    fn pick(&mut self, position: u64) -> usize {
        let count = self.items.len() as u64;
        let (epoch, place) = (position / count, (position % count) as usize);
        if self.order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let mut order: Vec<usize> = (0..self.items.len()).collect();
            Random::new(self.seed, epoch).shuffle(&mut order);
            self.order = Some((epoch, order));
        }
        self.order.as_ref().map_or(0, |(_, order)| order[place])
    }

    fn append(&mut self, index: usize, size: usize, into: &mut Vec<f32>) -> Result<()> {
        if let Some(image) = self.cache.get(&(index, size)) {
            append(image, into);
            return Ok(());
        }
        let image = read(&self.items[index].path, size)?;
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
        let mut batch = Batch { size, ..Batch::default() };
        for position in 0..count as u64 {
            let index = self.pick(start.saturating_add(position));
            self.append(index, size, &mut batch.images)?;
            if self.holes {
                batch.masks.extend(hole(&mut random, &[], size));
            }
            batch.captions.push(self.items[index].caption.clone());
        }
        Ok(batch)
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
    }
}

/// The pictures that `metadata.jsonl` lists, in its order.
fn listed(dir: &Path, metadata: &Path) -> Result<Vec<Item>> {
    let text = std::fs::read_to_string(metadata).map_err(|e| Error::io(metadata, e))?;
    let mut items = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |reason: String| fault(metadata, &format!("line {}: {reason}", number + 1));
        let line: Line = serde_json::from_str(line).map_err(|e| at(e.to_string()))?;
        let name = Path::new(&line.file_name);
        if !name.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
            return Err(at(format!("{:?} leaves the folder", line.file_name)));
        }
        let path = dir.join(name);
        if !path.is_file() {
            return Err(at(format!("there is no {:?}", line.file_name)));
        }
        items.push(Item { path, caption: line.text });
    }
    Ok(items)
}

/// Every PNG with the text file of its name, in the order of names.
fn paired(dir: &Path) -> Result<Vec<Item>> {
    let io = |e| Error::io(dir, e);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
            paths.push(path);
        }
    }
    paths.sort();
    let item = |path: PathBuf| {
        let text = path.with_extension("txt");
        let caption = std::fs::read_to_string(&text).map_err(|e| Error::io(&text, e))?;
        Ok(Item { path, caption: caption.trim().to_owned() })
    };
    paths.into_iter().map(item).collect()
}

/// The middle square of a picture, resized.
fn read(path: &Path, size: usize) -> Result<RgbImage> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|e| Error::io(path, e))?;
    let image = reader.decode().map_err(|e| fault(path, &format!("not a PNG that can be read: {e}")))?.into_rgb8();
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

fn fault(path: &Path, reason: &str) -> Error {
    Error::input(path.display().to_string(), reason)
}

#[cfg(test)]
mod tests;
