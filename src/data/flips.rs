//! Pictures mirrored left to right by lot, with their holes.

use super::random::Random;
use super::{Batch, Source};
use crate::error::Result;

/// Streams of the seed.
const SIDES: u64 = 1 << 59;

/// A source of which every picture is as likely mirrored as not; captions stay as they are.
pub struct Flips {
    pictures: Box<dyn Source>,
    seed: u64,
    next: u64,
}

impl Flips {
    pub fn new(pictures: Box<dyn Source>, seed: u64) -> Self {
        Self { pictures, seed, next: 0 }
    }
}

impl Source for Flips {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let mut random = Random::new(self.seed, SIDES + self.next);
        self.next += 1;
        let mut batch = self.pictures.batch(count, size)?;
        let side = batch.size;
        for i in 0..count {
            if random.unit() < 0.5 {
                continue;
            }
            for (values, planes) in [(&mut batch.images, batch.channels), (&mut batch.masks, 1)] {
                let picture = planes * side * side;
                let rows = values.get_mut(i * picture..(i + 1) * picture).into_iter().flat_map(|p| p.chunks_mut(side));
                rows.for_each(<[f32]>::reverse);
            }
        }
        Ok(batch)
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
        self.pictures.seek(index);
    }

    fn pictures(&self) -> Option<usize> {
        self.pictures.pictures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ScenesSource;

    #[test]
    fn a_picture_is_itself_or_its_mirror_and_so_is_its_hole() {
        let mut flips = Flips::new(Box::new(ScenesSource::new(3).with_holes(true)), 1);
        let found = flips.batch(20, 8).unwrap();
        let plain = ScenesSource::new(3).with_holes(true).batch(20, 8).unwrap();
        let mirror = |values: &[f32]| values.chunks(8).flat_map(|row| row.iter().rev().copied()).collect::<Vec<_>>();
        let mut mirrored = 0;
        for i in 0..20 {
            let image = |batch: &Batch| batch.images[i * 192..(i + 1) * 192].to_vec();
            let mask = |batch: &Batch| batch.masks[i * 64..(i + 1) * 64].to_vec();
            let turned = image(&found) != image(&plain);
            mirrored += usize::from(turned);
            let (image_was, mask_was) = (image(&plain), mask(&plain));
            assert_eq!(image(&found), if turned { mirror(&image_was) } else { image_was });
            assert_eq!(mask(&found), if turned { mirror(&mask_was) } else { mask_was });
        }
        assert!((3..18).contains(&mirrored), "{mirrored}");
        flips.seek(0);
        assert_eq!(flips.batch(20, 8).unwrap(), found);
    }
}
