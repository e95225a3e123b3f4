//! Pixels of a scene: coverage of a pixel is `clamp(0.5 − distance / pixel, 0, 1)`, colours are mixed by it.

use super::shapes::{distance, reach};
use super::vocabulary::{Pattern, Shape};
use super::{Object, Scene};

/// The picture `[3, size, size]` in [-1, 1].
pub fn render(scene: &Scene, size: usize) -> Vec<f32> {
    let plane = size * size;
    let mix = mixture(scene.background.pattern, scene.phase, scene.vertical, size); // [size, size]
    let (a, b) = (scene.background.first.rgb(), scene.background.second.rgb());
    let mut image = Vec::with_capacity(3 * plane);
    for (a, b) in a.into_iter().zip(b) {
        image.extend(mix.iter().map(|m| a * (1.0 - m) + b * m));
    }
    for &Object { shape, color, radius, x, y } in &scene.objects {
        let [red, green, blue] = color.rgb();
        coverage(shape, [x, y, radius], size, |i, m| {
            for (channel, value) in [red, green, blue].into_iter().enumerate() {
                let pixel = &mut image[channel * plane + i];
                *pixel += (value - *pixel) * m;
            }
        });
    }
    image
}

/// Share of the background's second colour in every pixel, `[size, size]`.
pub fn mixture(pattern: Pattern, phase: f32, vertical: bool, size: usize) -> Vec<f32> {
    let pixel = 2.0 / size as f32;
    let cover = |d: f32| (0.5 - d / pixel).clamp(0.0, 1.0);
    let axis: Vec<f32> = (0..size).map(|i| center(i, size)).collect();
    let along = |f: &dyn Fn(f32) -> f32| axis.iter().map(|&t| f(t)).collect::<Vec<f32>>();
    let grid = |f: &dyn Fn(usize, usize) -> f32| {
        let rows = (0..size).flat_map(|y| (0..size).map(move |x| (x, y)));
        rows.map(|(x, y)| f(x, y)).collect::<Vec<f32>>()
    };
    match pattern {
        Pattern::Plain => vec![0.0; size * size],
        Pattern::Gradient => grid(&|_, y| (axis[y] + 1.0) / 2.0),
        Pattern::Striped => {
            let stripes = along(&|t| cover((((t * 3.0 + phase * 2.0).rem_euclid(2.0) - 1.0).abs() - 0.5) / 3.0));
            grid(&|x, y| stripes[if vertical { x } else { y }])
        }
        Pattern::Checkered => {
            let f = along(&|t| cover((((t * 2.0 + 0.5).rem_euclid(2.0) - 1.0).abs() - 0.5) / 2.0));
            grid(&|x, y| f[x] * (1.0 - f[y]) + f[y] * (1.0 - f[x]))
        }
        Pattern::Dotted => {
            let g = along(&|t| ((t * 3.0 + 3.0).rem_euclid(1.0) - 0.5) / 3.0);
            grid(&|x, y| cover((g[x] * g[x] + g[y] * g[y]).sqrt() - 0.07))
        }
    }
}

/// Calls `visit(pixel, coverage)` for every pixel that the shape at `[x, y, radius]` touches; pixels count in rows.
pub fn coverage(shape: Shape, [cx, cy, r]: [f32; 3], size: usize, visit: impl FnMut(usize, f32)) {
    macro_rules! scan_each {
        ($($shape:ident),*) => {
            // One loop a shape, so that the choice is made once and not in every pixel.
            match shape { $(Shape::$shape => scan([cx, cy], reach(shape) * r, size, |x, y| distance(Shape::$shape, x, y, r), visit)),* }
        };
    }
    scan_each!(Circle, Square, Triangle, Star, Heart, Ring, Cross, Moon, Diamond);
}

#[inline(always)]
fn scan(
    center_at: [f32; 2],
    reach: f32,
    size: usize,
    distance: impl Fn(f32, f32) -> f32,
    mut visit: impl FnMut(usize, f32),
) {
    let pixel = 2.0 / size as f32;
    let [cx, cy] = center_at;
    // The first and last pixel within reach of `c`, and one more on either side.
    let span = |c: f32| {
        let at = |t: f32| ((t + 1.0) / pixel).floor();
        let (low, high) = (at(c - reach) - 1.0, at(c + reach) + 2.0);
        (low.clamp(0.0, size as f32) as usize, high.clamp(0.0, size as f32) as usize)
    };
    let ((left, right), (top, bottom)) = (span(cx), span(cy));
    for row in top..bottom {
        let y = center(row, size) - cy;
        for column in left..right {
            let x = center(column, size) - cx;
            let m = (0.5 - distance(x, y) / pixel).clamp(0.0, 1.0);
            if m > 0.0 {
                visit(row * size + column, m);
            }
        }
    }
}

/// Coordinate of the middle of pixel `i`.
#[inline(always)]
fn center(i: usize, size: usize) -> f32 {
    (i as f32 + 0.5) / size as f32 * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::super::describe;
    use super::*;
    use crate::data::random::Random;
    use safetensors::SafeTensors;
    use std::time::Instant;

    const SCENES: &str = include_str!("../../../tests/fixtures/scenes/renders.json");
    const PICTURES: &[u8] = include_bytes!("../../../tests/fixtures/scenes/renders.safetensors");

    /// Pictures that the reference (`tests/fixtures/scenes.py`) drew from the same descriptions.
    #[test]
    fn pictures_are_the_references() {
        let scenes: Vec<Scene> = serde_json::from_str(SCENES).unwrap();
        let pictures = SafeTensors::deserialize(PICTURES).unwrap();
        let mut worst = 0.0f32;
        for name in pictures.names() {
            let (index, size) = name.split_once('.').unwrap();
            let size: usize = size.parse().unwrap();
            let scene = &scenes[index.parse::<usize>().unwrap()];
            let expected = pictures.tensor(name).unwrap();
            assert_eq!(expected.shape(), [3, size, size]);
            for (ours, &byte) in render(scene, size).iter().zip(expected.data()) {
                worst = worst.max(((ours + 1.0) * 127.5 - f32::from(byte)).abs());
            }
        }
        // The reference's bytes are rounded: half a step is theirs.
        assert!(worst <= 0.55, "off by {worst} of 255");
    }

    #[test]
    fn the_fixture_covers_everything() {
        let scenes: Vec<Scene> = serde_json::from_str(SCENES).unwrap();
        let objects: Vec<&Object> = scenes.iter().flat_map(|s| &s.objects).collect();
        assert!(Shape::ALL.iter().all(|s| objects.iter().any(|o| o.shape == *s)));
        assert!(Pattern::ALL.iter().all(|p| scenes.iter().any(|s| s.background.pattern == *p)));
        assert!(scenes.iter().any(|s| s.vertical) && scenes.iter().any(|s| !s.vertical));
        for words in ["small", "large", "left of", "right of", "above", "below", "in the left", "in the center"] {
            assert!(scenes.iter().any(|s| s.caption.contains(words)), "{words}");
        }
    }

    /// 2000 images of 64 pixels a second on a core are far more than a trainer takes; measured: see the number printed.
    #[test]
    fn rendering_is_fast() {
        let mut random = Random::new(5, 0);
        let scenes: Vec<Scene> = (0..500).map(|_| describe(&mut random)).collect();
        let start = Instant::now();
        let sum: f32 = scenes.iter().map(|s| render(s, 64)[0]).sum();
        let rate = 500.0 / start.elapsed().as_secs_f64();
        println!("{rate:.0} images/s ({sum})");
        assert!(rate > 1000.0, "{rate:.0} images/s");
    }
}
