//! One inpainting task: a scene with an object in a hole, and the caption that asks for another object there.

use crate::data::random::Random;
use crate::data::scenes::{Object, Relation, Request, Scene, Shape, Size, Subject, describe, free_colors, render};
use crate::eval::scenes::HELD_OUT_SEED;

/// Seed of the tasks; no training uses it.
const SEED: u64 = HELD_OUT_SEED + 2;
/// What the object reaches, as a share of half the hole's side: it does not touch the hole's border.
const FILL: f64 = 0.8;
/// Width of the strip along the inside of the hole's border, as a share of half its side: there is nothing but background.
const STRIP: f64 = 0.12;

pub struct Task {
    /// What is given, `[3, side, side]` in [-1, 1].
    pub image: Vec<f32>,
    /// 1 in the hole, `[side, side]`.
    pub mask: Vec<f32>,
    pub request: Request,
    /// The picture without anything in the hole.
    ground: Vec<f32>,
    /// 1 along the inside of the hole's border.
    strip: Vec<f32>,
}

impl Task {
    /// Task `i` of holes that cover `percent` of the picture: a square around an object, which the request replaces.
    ///
    /// Every second scene has two objects, where the hole has room for one of them and not for both.
    pub fn new(percent: u32, i: u64, side: usize) -> Self {
        let mut random = Random::new(SEED, i);
        let scene = describe(&mut random);
        let half = (f64::from(percent) / 100.0).sqrt(); // of the hole, in units of half the picture
        let radius = FILL * half / 1.15; // the farthest that a shape reaches
        let ground = scene.background;
        let mut free = free_colors(ground);
        let mut color = || {
            let color = random.choice(&free);
            free.retain(|c| *c != color);
            color
        };
        let (old_color, new_color, other_color) = (color(), color(), color());
        let (old_shape, new_shape) = random.pair(Shape::ALL);
        let other_shape = random.choice(Shape::ALL);

        let pair = i % 2 == 1 && (0.3..0.51).contains(&half);
        let room = 1.0 - half;
        let (subject, center, others) = if pair {
            let relation = random.choice(Relation::ALL);
            let (x, y) = relation.center();
            let object = |x: f64, y: f64| Object {
                shape: other_shape,
                color: other_color,
                radius: 0.34,
                x: -x as f32,
                y: -y as f32,
            };
            let first = (new_color, new_shape);
            let subject = Subject::Pair { first, relation, second: (other_color, other_shape) };
            (subject, (x.clamp(-room, room), y.clamp(-room, room)), vec![object(x, y)])
        } else {
            let subject = Subject::One { size: Size::nearest(radius), color: new_color, shape: new_shape, place: None };
            let near = room.min(0.5);
            (subject, (random.uniform(-near, near), random.uniform(-near, near)), vec![])
        };
        let hole = square(center, half, side);
        let inner = square(center, half * (1.0 - STRIP), side);
        let strip = hole.iter().zip(&inner).map(|(a, b)| a - b).collect();
        let empty = Scene { objects: others, ..scene };
        let mut given = empty.clone();
        let radius = radius.min(0.34 * if pair { 1.0 } else { 2.0 });
        let (x, y) = (center.0 as f32, center.1 as f32);
        given.objects.push(Object { shape: old_shape, color: old_color, radius: radius as f32, x, y });
        Self {
            image: render(&given, side),
            mask: hole,
            request: Request { subject, background: ground },
            ground: render(&empty, side),
            strip,
        }
    }

    /// Mean difference of 255 from the true background just inside the border of the hole.
    pub fn seam(&self, picture: &[f32]) -> f64 {
        mean_difference(picture, &self.ground, &self.strip)
    }

    /// Mean difference of 255 between two pictures in the hole.
    pub fn difference(&self, a: &[f32], b: &[f32]) -> f64 {
        mean_difference(a, b, &self.mask)
    }
}

/// 1 for pixels whose middle lies within `half` of `center` in both directions.
fn square((cx, cy): (f64, f64), half: f64, side: usize) -> Vec<f32> {
    let at = |i: usize| (i as f64 + 0.5) / side as f64 * 2.0 - 1.0;
    let inside = |i: usize| (at(i % side) - cx).abs() <= half && (at(i / side) - cy).abs() <= half;
    (0..side * side).map(|i| if inside(i) { 1.0 } else { 0.0 }).collect()
}

fn mean_difference(a: &[f32], b: &[f32], weight: &[f32]) -> f64 {
    let pairs = a.iter().zip(b).zip(weight.iter().cycle());
    let (sum, count) =
        pairs.fold((0.0, 0.0), |(sum, count), ((a, b), w)| (sum + f64::from((a - b).abs() * w), count + f64::from(*w)));
    127.5 * sum / f64::max(count, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::judge::judge;

    #[test]
    fn holes_cover_what_they_should_and_all_of_the_object() {
        for percent in [2, 10, 25, 50] {
            let mut covered = 0.0;
            for i in 0..40 {
                let task = Task::new(percent, i, 64);
                covered += task.mask.iter().sum::<f32>() / 4096.0 / 40.0;
                // Beside the hole nothing is missing but the object, and just inside its border there is none.
                let outside: Vec<f32> = task.mask.iter().map(|m| 1.0 - m).collect();
                assert_eq!(mean_difference(&task.image, &task.ground, &outside), 0.0, "{percent} {i}");
                // Holes of nine pixels have no room between the object's soft edge and the strip.
                let most = if percent == 2 { 3.0 } else { 1e-3 };
                assert!(task.seam(&task.image) < most, "{percent} {i}: {}", task.seam(&task.image));
                assert!(task.difference(&task.image, &task.ground) > 1.0, "{percent} {i}");
            }
            let share = f64::from(percent) / 100.0;
            assert!((f64::from(covered) / share - 1.0).abs() < 0.12, "{percent}: {covered}");
        }
    }

    /// The judge accepts the true answer and not what was given.
    #[test]
    fn the_answer_is_judged_right() {
        for percent in [10, 25, 50] {
            let (mut right, mut wrong) = (0, 0);
            for i in 0..30 {
                let task = Task::new(percent, i, 64);
                let request = task.request;
                wrong += usize::from(judge(&task.image, 64, &request).unwrap().accepted());
                right += usize::from(judge(&task.answer(), 64, &request).unwrap().accepted());
            }
            assert!(right >= 28 && wrong == 0, "{percent}: {right} right, {wrong} wrong of 30");
        }
    }

    impl Task {
        /// The given picture with the asked object in place of the old one.
        fn answer(&self) -> Vec<f32> {
            let (color, shape) = match self.request.subject {
                Subject::One { color, shape, .. } => (color, shape),
                Subject::Pair { first, .. } => first,
            };
            let at = |i: usize| (i as f32 + 0.5) / 32.0 - 1.0;
            let held: Vec<(f32, f32)> =
                (0..4096).filter(|i| self.mask[*i] > 0.0).map(|i| (at(i % 64), at(i / 64))).collect();
            let middle = |v: fn(&(f32, f32)) -> f32| held.iter().map(v).sum::<f32>() / held.len() as f32;
            let half = (held.len() as f32 / 4096.0).sqrt();
            let mut picture = self.ground.clone();
            render::coverage(shape, [middle(|p| p.0), middle(|p| p.1), 0.69 * half], 64, |i, m| {
                for (c, value) in color.rgb().into_iter().enumerate() {
                    picture[c * 4096 + i] += (value - picture[c * 4096 + i]) * m;
                }
            });
            picture
        }
    }
}
