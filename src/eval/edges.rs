//! Seams and sharpness of pictures: how much of their gradient lies on the borders of patches, and how much there is of it.

use crate::error::{Error, Result};

/// Sums over a set of pictures of squared differences between neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edges {
    patch: usize,
    border: (f64, u64),
    elsewhere: (f64, u64),
}

impl Edges {
    /// For patches of `patch` pixels a side, counted from the picture's corner.
    ///
    /// # Errors
    /// `InvalidInput` on `patch` below 2: every pixel would be a border.
    pub fn new(patch: usize) -> Result<Self> {
        if patch < 2 {
            return Err(Error::input("patch", "borders need patches of at least 2 pixels"));
        }
        Ok(Self { patch, border: (0.0, 0), elsewhere: (0.0, 0) })
    }

    /// Adds `image` `[3, size, size]`.
    ///
    /// # Errors
    /// `InvalidInput` on `image` of another size.
    pub fn add(&mut self, image: &[f32], size: usize) -> Result<()> {
        if image.len() != 3 * size * size {
            return Err(Error::input("image", format!("{} values are no [3, {size}, {size}]", image.len())));
        }
        for plane in image.chunks_exact((size * size).max(1)) {
            for (i, value) in plane.iter().enumerate() {
                for (at, step) in [(i % size, 1), (i / size, size)] {
                    if at == 0 {
                        continue;
                    }
                    let difference = f64::from(value - plane[i - step]);
                    let part = if at % self.patch == 0 { &mut self.border } else { &mut self.elsewhere };
                    part.0 += difference * difference;
                    part.1 += 1;
                }
            }
        }
        Ok(())
    }

    /// Adds what another set was measured to have, of the same patches.
    pub fn merge(&mut self, other: &Self) {
        for (part, more) in [(&mut self.border, other.border), (&mut self.elsewhere, other.elsewhere)] {
            part.0 += more.0;
            part.1 += more.1;
        }
    }

    /// Mean energy at borders over that elsewhere.
    pub fn seam(&self) -> f64 {
        mean(self.border) / mean(self.elsewhere).max(f64::MIN_POSITIVE)
    }

    /// Mean energy of all.
    pub fn energy(&self) -> f64 {
        mean((self.border.0 + self.elsewhere.0, self.border.1 + self.elsewhere.1))
    }

    /// Seam and sharpness with those of `truth` as 1.
    pub fn relative_to(&self, truth: &Self) -> (f64, f64) {
        (self.seam() / truth.seam().max(f64::MIN_POSITIVE), self.energy() / truth.energy().max(f64::MIN_POSITIVE))
    }
}

fn mean((sum, count): (f64, u64)) -> f64 {
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::Random;

    fn measured(pictures: &[Vec<f32>]) -> Edges {
        let mut edges = Edges::new(8).unwrap();
        pictures.iter().for_each(|p| edges.add(p, 32).unwrap());
        edges
    }

    #[test]
    fn patches_that_do_not_meet_are_a_seam_and_blur_is_not_sharp() {
        let mut random = Random::new(1, 0);
        let noise: Vec<Vec<f32>> =
            (0..8).map(|_| (0..3072).map(|_| random.uniform(-1.0, 1.0) as f32).collect()).collect();
        let truth = measured(&noise);
        assert!((truth.seam() - 1.0).abs() < 0.05, "{}", truth.seam());
        assert_eq!(measured(&noise).relative_to(&truth), (1.0, 1.0));
        // Every patch is shifted by its own amount.
        let shift = |i: usize| ((i % 32 / 8 * 3 + i / 32 % 32 / 8 * 5) % 7) as f32 * 0.2;
        let patched: Vec<Vec<f32>> =
            noise.iter().map(|p| p.iter().enumerate().map(|(i, v)| v + shift(i)).collect()).collect();
        let (seam, sharpness) = measured(&patched).relative_to(&truth);
        assert!(seam > 1.2 && sharpness > 1.0, "{seam} {sharpness}");
        let blurred: Vec<Vec<f32>> =
            noise.iter().map(|p| (0..3072).map(|i| (p[i] + p[i.saturating_sub(1)]) / 2.0).collect()).collect();
        let (seam, sharpness) = measured(&blurred).relative_to(&truth);
        assert!((seam - 1.0).abs() < 0.1 && sharpness < 0.8, "{seam} {sharpness}");
        assert!(Edges::new(1).is_err() && Edges::new(8).unwrap().add(&[0.0; 4], 32).is_err());
    }
}
