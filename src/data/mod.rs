//! Captioned pictures in batches: drawn ([`ScenesSource`], [`StickersSource`]), read ([`FolderSource`]) or encoded before ([`CachedSource`]), ahead of time ([`Prefetch`]).

mod cached;
mod crops;
mod decode;
mod epochs;
mod flips;
mod folder;
mod hole;
mod npy;
mod pixart;
mod prefetch;
pub mod random;
pub mod safetensors_file;
pub mod scenes;
pub mod stickers;

pub use cached::{CachedSource, HEADER, Header, Latents, file_name, states, write};
pub use crops::Crops;
pub use flips::Flips;
pub use folder::{FolderSource, Skipped};
pub use hole::hole;
pub use pixart::PixartFeatures;
pub use prefetch::Prefetch;
pub use stickers::StickersSource;

use crate::error::Result;
use random::Random;
use scenes::{describe, describe_anywhere, describe_plain, render};

/// Pictures, or their latents, and what they show.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[B, channels, size, size]`: pictures in [-1, 1], or latents.
    pub images: Vec<f32>,
    pub channels: usize,
    pub captions: Vec<String>,
    /// The captions as states `[tokens, width]` each, and those of the empty one; empty where they are texts alone.
    pub states: Vec<Vec<f32>>,
    pub empty_states: Vec<f32>,
    /// What each picture shows, as numbers in the source's list of things; empty where it has none.
    pub labels: Vec<Vec<usize>>,
    /// `[B, size, size]`, 1 in a picture's hole; empty unless holes are asked for.
    pub masks: Vec<f32>,
    pub size: usize,
}

impl Batch {
    /// No pictures yet, of so many pixels a side.
    pub fn pictures(size: usize) -> Self {
        Self {
            images: vec![],
            channels: 3,
            captions: vec![],
            states: vec![],
            empty_states: vec![],
            labels: vec![],
            masks: vec![],
            size,
        }
    }

    /// Keeps the first `count` pictures.
    pub fn truncate(&mut self, count: usize) {
        let plane = self.size * self.size;
        self.images.truncate(count * self.channels * plane);
        self.masks.truncate(count * plane);
        self.captions.truncate(count);
        self.states.truncate(count);
        self.labels.truncate(count);
    }
}

/// Which of a finite set's pictures a source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// All but so many, at most half of them.
    Training { held_out: usize },
    /// Those.
    HeldOut { held_out: usize },
}

impl Split {
    /// All of them.
    pub const ALL: Self = Self::Training { held_out: 0 };
    /// Streams of [`Random`] that only this uses.
    const ORDER: u64 = 1 << 61;

    /// Of `count` pictures, the numbers of those that it has. Which are held out depends on `count` alone.
    pub fn of(self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        Random::new(0, Self::ORDER).shuffle(&mut order);
        let (Self::Training { held_out } | Self::HeldOut { held_out }) = self;
        let rest = order.split_off(held_out.min(count / 2));
        let mut kept = if matches!(self, Self::HeldOut { .. }) { order } else { rest };
        kept.sort_unstable();
        kept
    }
}

/// An endless series of batches. Batch `i` depends on the source, its seed, `i` and the batch's size alone, so that a run
/// that stopped goes on with the batches it would have had.
pub trait Source: Send {
    /// The next batch of `count` pictures of `size × size` pixels.
    ///
    /// # Errors
    /// What goes wrong with a file, naming it.
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch>;

    /// Makes `index` the number of the next batch; a new source begins at 0.
    fn seek(&mut self, index: u64);

    /// Pictures that a source has, where it has an end.
    fn pictures(&self) -> Option<usize> {
        None
    }

    /// The fingerprint of the autoencoder whose latents its batches are; none where they are pictures.
    fn autoencoder(&self) -> Option<&str> {
        None
    }
}

/// Share of the scenes with one object anywhere, where there are holes.
const ANYWHERE: f64 = 0.5;

/// Procedural scenes, never the same twice.
#[derive(Debug, Clone)]
pub struct ScenesSource {
    seed: u64,
    next: u64,
    /// Share of the scenes with one object on a plain background, beside those that are so by chance.
    plain: f64,
    /// Share of the scenes with two.
    pairs: f64,
    holes: bool,
}

impl ScenesSource {
    pub fn new(seed: u64) -> Self {
        Self { seed, next: 0, plain: 0.0, pairs: 0.0, holes: false }
    }

    /// The same with shares of plain scenes: of one object, and of two.
    pub fn with_plain(self, plain: f64, pairs: f64) -> Self {
        Self { plain, pairs, ..self }
    }

    /// The same with holes, and with scenes whose one object has any size and lies anywhere: who inpaints puts it there.
    pub fn with_holes(self, holes: bool) -> Self {
        Self { holes, ..self }
    }
}

impl Source for ScenesSource {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let mut random = Random::new(self.seed, self.next);
        self.next += 1;
        let mut batch = Batch::pictures(size);
        for _ in 0..count {
            let plain = self.plain + self.pairs;
            let place = if plain > 0.0 { random.unit() } else { 1.0 };
            let scene = match place {
                p if p < self.plain => describe_plain(&mut random, 1),
                p if p < plain => describe_plain(&mut random, 2),
                _ if self.holes && random.unit() < ANYWHERE => describe_anywhere(&mut random),
                _ => describe(&mut random),
            };
            batch.images.extend(render(&scene, size));
            if self.holes {
                batch.masks.extend(hole(&mut random, &scene.circles(), size));
            }
            batch.captions.push(scene.caption);
        }
        Ok(batch)
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_out_is_not_trained_on() {
        let (training, held_out) = (Split::Training { held_out: 3 }.of(10), Split::HeldOut { held_out: 3 }.of(10));
        assert_eq!((training.len(), held_out.len()), (7, 3));
        assert!(held_out.iter().all(|i| !training.contains(i)));
        assert_eq!(Split::ALL.of(4), [0, 1, 2, 3]);
        assert_eq!(Split::HeldOut { held_out: 100 }.of(10).len(), 5, "no more than half");
    }

    #[test]
    fn a_batch_depends_on_seed_and_index_alone() {
        let mut source = ScenesSource::new(7);
        let batches: Vec<Batch> = (0..3).map(|_| source.batch(4, 32).unwrap()).collect();
        assert_eq!(batches[0].images.len(), 4 * 3 * 32 * 32);
        assert_ne!(batches[0], batches[1]);
        let mut resumed = ScenesSource::new(7);
        resumed.seek(2);
        assert_eq!(resumed.batch(4, 32).unwrap(), batches[2]);
        assert_ne!(ScenesSource::new(8).batch(4, 32).unwrap(), batches[0]);
        let holes = ScenesSource::new(7).with_holes(true).batch(4, 16).unwrap();
        assert!(batches[0].masks.is_empty() && holes.masks.len() == 4 * 16 * 16);
        let pairs = ScenesSource::new(7).with_plain(0.0, 1.0).batch(40, 8).unwrap();
        assert!(pairs.captions.iter().all(|c| c.contains(" of a ") || c.contains("above") || c.contains("below")));
        let plain = ScenesSource::new(7).with_plain(1.0, 0.0).batch(40, 8).unwrap();
        assert!(plain.captions.iter().all(|c| !c.contains("above") && !c.contains("striped")));
    }
}
