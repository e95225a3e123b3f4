//! Pixels of a sticker: its background, and its things over it, each averaged over the area of every pixel.

use super::art::{Art, Sprite};
use super::sticker::Sticker;
use crate::data::scenes::render::mixture;
use crate::error::Result;

/// The picture `[3, size, size]` in [-1, 1].
///
/// # Errors
/// What [`Art::sprite`] refuses.
pub fn render(sticker: &Sticker, art: &mut Art, size: usize) -> Result<Vec<f32>> {
    let plane = size * size;
    let ground = sticker.background;
    let mix = mixture(ground.pattern, sticker.phase, sticker.vertical, size); // [size, size]
    let mut image = Vec::with_capacity(3 * plane);
    for (a, b) in ground.first.rgb().into_iter().zip(ground.second.rgb()) {
        let (a, b) = (f32::from(a), f32::from(b));
        image.extend(mix.iter().map(|m| a * (1.0 - m) + b * m));
    }
    for thing in &sticker.things {
        let sprite = art.sprite(thing.concept, sticker.style, thing.tint, sprite_side(size))?;
        paste(&mut image, size, &sprite, thing.flip, [thing.x, thing.y, thing.radius]);
    }
    image.iter_mut().for_each(|v| *v = *v / 127.5 - 1.0);
    Ok(image)
}

/// Drawings are rasterized larger than they are shown.
fn sprite_side(size: usize) -> usize {
    (size * 3 / 2).next_multiple_of(32)
}

/// The sprite's columns (or rows) that a pixel covers, with their shares: `first` and the weights from there.
struct Cover {
    pixel: usize,
    first: usize,
    weights: Vec<f32>,
}

/// Of the pixels of a side of `size`, those that a sprite of `side` touches with its middle at `center` and `radius` to either side.
fn cover(size: usize, side: usize, center: f32, radius: f32, flip: bool) -> Vec<Cover> {
    let half = size as f32 / 2.0;
    let (start, length) = ((center - radius + 1.0) * half, 2.0 * radius * half);
    let scale = side as f32 / length;
    let range = start.floor().max(0.0) as usize..((start + length).ceil().max(0.0) as usize).min(size);
    range
        .filter_map(|pixel| {
            let (mut low, mut high) = ((pixel as f32 - start) * scale, (pixel as f32 + 1.0 - start) * scale);
            if flip {
                (low, high) = (side as f32 - high, side as f32 - low);
            }
            let first = low.max(0.0) as usize;
            let last = (high.min(side as f32).ceil() as usize).max(first);
            let share = |i: usize| ((i as f32 + 1.0).min(high) - (i as f32).max(low)).max(0.0) / scale;
            (last > first).then(|| Cover { pixel, first, weights: (first..last).map(share).collect() })
        })
        .collect()
}

/// Lays the sprite over the picture `[3, size, size]`, 0 to 255.
fn paste(image: &mut [f32], size: usize, sprite: &Sprite, flip: bool, [x, y, radius]: [f32; 3]) {
    let (plane, side) = (size * size, sprite.side);
    let columns = cover(size, side, x, radius, flip);
    let mut line = vec![[0.0f32; 4]; side];
    for row in cover(size, side, y, radius, false) {
        line.fill([0.0; 4]);
        for (i, weight) in row.weights.iter().enumerate() {
            let source = &sprite.pixels[(row.first + i) * side..][..side];
            for (sum, pixel) in line.iter_mut().zip(source) {
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += f32::from(*value) * weight;
                }
            }
        }
        for column in &columns {
            let mut sum = [0.0f32; 4];
            for (value, weight) in line[column.first..].iter().zip(&column.weights) {
                for (sum, value) in sum.iter_mut().zip(value) {
                    *sum += value * weight;
                }
            }
            if sum[3] <= 0.0 {
                continue;
            }
            let keep = (1.0 - sum[3] / 255.0).max(0.0);
            let at = row.pixel * size + column.pixel;
            for (channel, value) in sum[..3].iter().enumerate() {
                let pixel = &mut image[channel * plane + at];
                *pixel = *pixel * keep + value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sprite_covers_what_its_radius_says() {
        // The left half red, the right half blue.
        let pixel = |i: usize| if i % 8 < 4 { [255, 0, 0, 255] } else { [0, 0, 255, 255] };
        let sprite = Sprite { side: 8, pixels: (0..64).map(pixel).collect() };
        for flip in [false, true] {
            let mut image = vec![0.0; 3 * 256];
            paste(&mut image, 16, &sprite, flip, [0.0, 0.0, 0.5]);
            for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y, x))) {
                let inside = (4..12).contains(&x) && (4..12).contains(&y);
                let left = (x < 8) != flip;
                let expected = if inside {
                    [if left { 255.0 } else { 0.0 }, 0.0, if left { 0.0 } else { 255.0 }]
                } else {
                    [0.0; 3]
                };
                let found = [0, 1, 2].map(|c| image[c * 256 + y * 16 + x]);
                assert!(
                    found.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-3),
                    "{x} {y}: {found:?}"
                );
            }
        }
        // Half a pixel further, and beyond the edge: coverage is exact, and nothing is written outside.
        let mut image = vec![0.0; 3 * 256];
        paste(&mut image, 16, &sprite, false, [1.0 / 16.0, -1.0, 0.5]);
        assert!((image[4] - 127.5).abs() < 1e-3 && image[5] == 255.0 && (image[512 + 12] - 127.5).abs() < 1e-3);
        assert_eq!(image[4 * 16 + 5], 0.0);
    }
}
