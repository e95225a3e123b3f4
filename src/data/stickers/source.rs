//! Stickers in batches, never the same twice.

use super::art::Art;
use super::describe::describe;
use super::render::render;
use super::sticker::Pairs;
use crate::data::random::Random;
use crate::data::{Batch, Source, hole};
use crate::error::Result;

/// Stickers of a seed.
#[derive(Debug, Clone)]
pub struct StickersSource {
    art: Art,
    seed: u64,
    next: u64,
    /// Share of the stickers with one thing on a plain background, beside those that are so by chance.
    plain: f64,
    /// Share of those with two.
    pairs: f64,
    shown: Pairs,
    holes: bool,
}

impl StickersSource {
    pub fn new(art: Art, seed: u64) -> Self {
        Self { art, seed, next: 0, plain: 0.0, pairs: 0.0, shown: Pairs::Training, holes: false }
    }

    /// The same with shares of stickers on plain backgrounds: of one thing, and of two.
    pub fn with_plain(self, plain: f64, pairs: f64) -> Self {
        Self { plain, pairs, ..self }
    }

    /// The same with those pairs of concept and tint.
    pub fn showing(self, shown: Pairs) -> Self {
        Self { shown, ..self }
    }

    /// The same with holes, most of them around a thing.
    pub fn with_holes(self, holes: bool) -> Self {
        Self { holes, ..self }
    }
}

impl Source for StickersSource {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let mut random = Random::new(self.seed, self.next);
        self.next += 1;
        let mut batch = Batch::pictures(size);
        for _ in 0..count {
            let kind = random.unit();
            let (things, plain) = match kind {
                k if k < self.plain => (Some(1), true),
                k if k < self.plain + self.pairs => (Some(2), true),
                _ => (None, false),
            };
            let sticker = describe(&mut random, self.shown, things, plain);
            batch.images.extend(render(&sticker, &mut self.art, size)?);
            if self.holes {
                let circles: Vec<[f32; 3]> = sticker.things.iter().map(|t| [t.x, t.y, t.radius]).collect();
                batch.masks.extend(hole(&mut random, &circles, size));
            }
            batch.labels.push(sticker.things.iter().map(|t| t.concept).collect());
            batch.captions.push(sticker.caption);
        }
        Ok(batch)
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
    }
}
