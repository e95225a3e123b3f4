//! Which part of an image is worked on, and at what size: all of it, or a padded box around the mask.

/// Context on each side of the mask's box, as a share of its longer side, and in pixels at least.
const PADDING: f64 = 0.5;
const MIN_PADDING: f64 = 8.0;
/// A picture of at least this share of the model's area, and at most all of it, is worked on at its own size.
const OWN_SIZE: f64 = 0.5;

/// A box of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Region {
    /// All of an image.
    pub fn whole(width: usize, height: usize) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// This box with context around it, at the aspect (width over height) `aspect` as far as the image has room.
    pub fn padded(self, aspect: f64, image: (usize, usize)) -> Self {
        let (width, height) = (self.width as f64, self.height as f64);
        let padding = 2.0 * (PADDING * width.max(height)).max(MIN_PADDING);
        let (width, height) = (width + padding, height + padding);
        let (width, height) = (width.max(height * aspect), height.max(width / aspect));
        let fit = |size: f64, limit: usize| (size.ceil() as usize).clamp(1, limit);
        let (wide, high) = (fit(width, image.0), fit(height, image.1));
        // Around the middle of the mask, shifted into the image.
        let start = |from: usize, length: usize, size: usize, limit: usize| {
            (from + length / 2).saturating_sub(size / 2).min(limit - size)
        };
        let x = start(self.x, self.width, wide, image.0);
        let y = start(self.y, self.height, high, image.1);
        Self { x, y, width: wide, height: high }
    }

    /// The part of `planes` `[C, H, W]` of an image `width` wide that the box covers.
    pub fn cut(self, planes: &[f32], (width, height): (usize, usize)) -> Vec<f32> {
        let rows = planes
            .chunks_exact(width * height)
            .flat_map(|plane| plane.chunks_exact(width).skip(self.y).take(self.height));
        rows.flat_map(|row| row[self.x..][..self.width].iter().copied()).collect()
    }
}

/// The size (width, height) at which a model whose pictures are `side` square works on a picture of `size`: multiples of `multiple`,
/// near its aspect, its own size if that is near the model's.
pub fn working_size(size: (usize, usize), side: usize, multiple: usize, limit: usize) -> (usize, usize) {
    let (width, height) = (size.0 as f64, size.1 as f64);
    let share = width * height / (side * side) as f64;
    let scale = if (OWN_SIZE..=1.0).contains(&share) { 1.0 } else { share.sqrt().recip() };
    let round = |v: f64| {
        let longest = limit.min(4 * side) / multiple;
        ((v * scale / multiple as f64).round() as usize).clamp(1, longest.max(1)) * multiple
    };
    (round(width), round(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_keeps_the_aspect_and_stays_inside() {
        let hole = |x, y, width, height| Region { x, y, width, height };
        // 40 + 2 · 20 wide, so 80 x 80 around the middle (120, 110).
        assert_eq!(hole(100, 100, 40, 20).padded(1.0, (300, 300)), hole(80, 70, 80, 80));
        // In a corner it is shifted, not cut.
        assert_eq!(hole(0, 0, 40, 20).padded(1.0, (300, 300)), hole(0, 0, 80, 80));
        assert_eq!(hole(290, 295, 10, 5).padded(2.0, (300, 300)), hole(258, 279, 42, 21));
        // Where there is no room, what there is.
        assert_eq!(hole(5, 100, 10, 10).padded(1.0, (20, 300)), hole(0, 92, 20, 26));
        assert_eq!(hole(0, 0, 1, 1).padded(1.0, (1, 1)), hole(0, 0, 1, 1));
        assert_eq!(hole(0, 0, 4096, 4096).padded(1.0, (4096, 4096)), Region::whole(4096, 4096));
    }

    #[test]
    fn a_cut_takes_its_rows_of_every_plane() {
        let planes: Vec<f32> = (0..2 * 3 * 4).map(|v| v as f32).collect();
        assert_eq!(
            Region { x: 1, y: 1, width: 2, height: 2 }.cut(&planes, (4, 3)),
            [5.0, 6.0, 9.0, 10.0, 17.0, 18.0, 21.0, 22.0]
        );
    }

    #[test]
    fn the_working_size_is_near_the_models() {
        assert_eq!(working_size((96, 128), 128, 16, 4096), (96, 128), "its own");
        assert_eq!(working_size((100, 100), 128, 16, 4096), (96, 96));
        assert_eq!(working_size((4096, 4096), 64, 8, 4096), (64, 64));
        assert_eq!(working_size((4096, 1024), 64, 8, 4096), (128, 32));
        assert_eq!(working_size((1, 1), 512, 16, 4096), (512, 512));
        assert_eq!(working_size((4096, 1), 64, 8, 4096), (256, 8), "at most four times the model's side");
        assert_eq!(working_size((1, 16_000), 1024, 16, 4096), (16, 4096));
    }
}
