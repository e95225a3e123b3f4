//! A picture as the judge looks at it: 64 × 64 pixels, colour by colour.

use crate::data::scenes::Color;
use crate::error::{Error, Result};

/// Side of the pictures that are compared.
pub const SIDE: usize = 64;
/// Pixels of one.
pub const AREA: usize = SIDE * SIDE;

/// RGB in [-1, 1], rows from the top.
#[derive(Debug, Clone)]
pub struct Picture(pub Vec<[f32; 3]>);

impl Picture {
    /// `image` `[3, size, size]`, averaged over the area of every pixel.
    pub fn new(image: &[f32], size: usize) -> Result<Self> {
        if size < SIDE || size.checked_mul(size).and_then(|n| n.checked_mul(3)) != Some(image.len()) {
            let count = image.len();
            return Err(Error::input(
                "image",
                format!("{count} values are no [3, {size}, {size}] of at least {SIDE} pixels"),
            ));
        }
        if !image.iter().all(|v| v.is_finite()) {
            return Err(Error::input("image", "a value is not finite"));
        }
        let taps: Vec<Vec<(usize, f32)>> = (0..SIDE).map(|i| taps(i, size)).collect();
        let mut pixels = vec![[0.0; 3]; AREA];
        for (channel, plane) in image.chunks_exact(size * size).enumerate() {
            for (i, pixel) in pixels.iter_mut().enumerate() {
                let rows = &taps[i / SIDE];
                let columns = &taps[i % SIDE];
                let row = |y: usize| columns.iter().map(|&(x, w)| w * plane[y * size + x]).sum::<f32>();
                pixel[channel] = rows.iter().map(|&(y, w)| w * row(y)).sum();
            }
        }
        Ok(Self(pixels))
    }

    /// `[3, 64, 64]`.
    pub fn planes(&self) -> Vec<f32> {
        (0..3).flat_map(|channel| self.0.iter().map(move |pixel| pixel[channel])).collect()
    }
}

/// The source pixels under output pixel `i`, with their shares.
fn taps(i: usize, size: usize) -> Vec<(usize, f32)> {
    let scale = size as f64 / SIDE as f64;
    let (low, high) = (i as f64 * scale, (i + 1) as f64 * scale);
    let share = |s: usize| ((high.min((s + 1) as f64) - low.max(s as f64)) / scale) as f32;
    (low as usize..size.min(high.ceil() as usize)).map(|s| (s, share(s))).filter(|(_, w)| *w > 1e-6).collect()
}

/// `|a − b|²`.
#[inline(always)]
pub fn squared(a: [f32; 3], b: [f32; 3]) -> f32 {
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
}

/// The colour of the palette that is nearest to `rgb`.
pub fn nearest_color(rgb: [f32; 3]) -> Color {
    let distance = |color: &Color| squared(color.rgb(), rgb);
    Color::ALL.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(Color::Gray)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_pictures_are_averaged() {
        let image: Vec<f32> = (0..3 * 128 * 128).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect();
        assert!(Picture::new(&image, 128).unwrap().0.iter().flatten().all(|v| (v - 0.5).abs() < 1e-6));
        let flat = vec![0.25; 3 * 100 * 100];
        assert!(Picture::new(&flat, 100).unwrap().0.iter().flatten().all(|v| (v - 0.25).abs() < 1e-5));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(Picture::new(&[0.0; 3 * 32 * 32], 32).is_err());
        assert!(Picture::new(&[0.0; 5], 64).is_err());
        assert!(Picture::new(&[f32::NAN; 3 * 64 * 64], 64).is_err());
    }
}
