//! Squares out of pictures: what an autoencoder is trained on, since it looks no further than its convolutions do.

use super::random::Random;
use super::{Batch, Source};
use crate::error::Result;

/// Streams of the seed.
const PLACES: u64 = 1 << 40;

/// A square of `side` pixels somewhere in every picture of a source.
pub struct Crops {
    pictures: Box<dyn Source>,
    side: usize,
    seed: u64,
    next: u64,
}

impl Crops {
    pub fn new(pictures: Box<dyn Source>, side: usize, seed: u64) -> Self {
        Self { pictures, side, seed, next: 0 }
    }
}

impl Source for Crops {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let mut random = Random::new(self.seed, PLACES + self.next);
        self.next += 1;
        let batch = self.pictures.batch(count, size)?;
        let side = self.side.min(size);
        let mut images = Vec::with_capacity(count * batch.channels * side * side);
        for picture in batch.images.chunks(batch.channels * size * size) {
            let [top, left] = [0, 1].map(|_| random.below(size - side + 1));
            for plane in picture.chunks(size * size) {
                let rows = plane.chunks(size).skip(top).take(side);
                rows.for_each(|row| images.extend_from_slice(&row[left..left + side]));
            }
        }
        Ok(Batch { images, size: side, masks: vec![], ..batch })
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
        self.pictures.seek(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ScenesSource;

    #[test]
    fn a_square_lies_in_its_picture_and_depends_on_the_index_alone() {
        let mut crops = Crops::new(Box::new(ScenesSource::new(3)), 8, 1);
        let batches: Vec<Batch> = (0..3).map(|_| crops.batch(2, 32).unwrap()).collect();
        assert_eq!((batches[0].size, batches[0].images.len()), (8, 2 * 3 * 64));
        crops.seek(2);
        assert_eq!(crops.batch(2, 32).unwrap(), batches[2]);

        let whole = ScenesSource::new(3).batch(2, 32).unwrap();
        let plane = &whole.images[..32 * 32];
        let crop = &batches[0].images[..64];
        let at = |top: usize, left: usize| (0..8).flat_map(move |y| plane[(top + y) * 32 + left..][..8].iter());
        assert!((0..25).any(|top| (0..25).any(|left| at(top, left).eq(crop))));
    }
}
