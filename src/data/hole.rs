//! Holes to learn inpainting from: masks over a picture, most of them around something in it.

use crate::data::random::Random;

/// Shares of the holes that lie around an object, where the picture's are known, and that cover all of the picture.
const AROUND: f64 = 0.75;
const ALL: f64 = 0.1;
/// The farthest that a shape reaches, in its radii.
const REACH: f64 = 1.15;

/// A mask `[size, size]`, 1 in the hole: an ellipse or a rectangle. `objects` are x, y and radius of what the picture shows.
pub fn hole(random: &mut Random, objects: &[[f32; 3]], size: usize) -> Vec<f32> {
    let kind = random.unit();
    if kind < ALL {
        return vec![1.0; size * size];
    }
    let (center, half) = if kind < ALL + AROUND && !objects.is_empty() {
        let [x, y, radius] = objects[random.below(objects.len())].map(f64::from);
        let reach = radius * REACH;
        let half = [0; 2].map(|_| reach * random.uniform(1.05, 1.7));
        let spare = half.map(|h| h - reach);
        let center = [x, y];
        ([0, 1].map(|i| center[i] + random.uniform(-spare[i], spare[i]) * 0.8), half)
    } else {
        ([0; 2].map(|_| random.uniform(-0.9, 0.9)), [0; 2].map(|_| random.uniform(0.12, 0.9)))
    };
    let round = random.unit() < 0.25;
    let at = |i: usize| (i as f64 + 0.5) / size as f64 * 2.0 - 1.0;
    let inside = |x: usize, y: usize| {
        let [dx, dy] = [(at(x) - center[0]) / half[0], (at(y) - center[1]) / half[1]];
        if round { dx.hypot(dy) < 1.0 } else { dx.abs().max(dy.abs()) < 1.0 }
    };
    let mut mask: Vec<f32> = (0..size * size).map(|i| if inside(i % size, i / size) { 1.0 } else { 0.0 }).collect();
    if !mask.contains(&1.0) {
        mask.fill(1.0); // it fell between the pixels
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scenes::{Object, describe};

    #[test]
    fn most_holes_cover_an_object_and_some_everything() {
        let mut random = Random::new(3, 0);
        let (mut around, mut all) = (0, 0);
        for _ in 0..400 {
            let scene = describe(&mut random);
            let mask = hole(&mut random, &scene.circles(), 32);
            assert!(mask.iter().all(|m| [0.0, 1.0].contains(m)) && mask.contains(&1.0));
            all += usize::from(!mask.contains(&0.0));
            let covers = |o: &Object| {
                let at = |v: f32| ((v + 1.0) * 16.0) as usize;
                mask[at(o.y).min(31) * 32 + at(o.x).min(31)] == 1.0
            };
            around += usize::from(scene.objects.iter().any(covers));
        }
        assert!(around > 320 && (20..80).contains(&all), "{around} around, {all} all");
        assert!(hole(&mut random, &[], 1).contains(&1.0));
    }
}
