//! Procedural captioned scenes: one or two flat shapes on a simple background, anti-aliased, at any resolution.
//!
//! Coordinates run over [-1, 1] with y pointing down. A scene's picture is the same at every size but for its resolution.

pub mod caption;
pub mod render;
pub mod shapes;
pub mod vocabulary;

use serde::{Deserialize, Serialize};

use super::random::Random;
pub use caption::{Background, Request, Subject};
pub use render::render;
pub use vocabulary::{Color, Pattern, Place, Relation, Shape, Size, vocabulary};

/// Radii of objects anywhere.
const SMALLEST: f64 = 0.08;
const LARGEST: f64 = 0.6;

/// Everything that a picture is drawn from, and its caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub background: Background,
    /// Where stripes begin, in halves of their period.
    pub phase: f32,
    /// Whether stripes stand upright.
    pub vertical: bool,
    /// One or two; the later lie over the earlier.
    pub objects: Vec<Object>,
    pub caption: String,
}

impl Scene {
    /// x, y and radius of every object.
    pub fn circles(&self) -> Vec<[f32; 3]> {
        self.objects.iter().map(|o| [o.x, o.y, o.radius]).collect()
    }
}

/// A shape in its place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub shape: Shape,
    pub color: Color,
    pub radius: f32,
    pub x: f32,
    pub y: f32,
}

/// Draws a scene at random: what is asked for, then what the caption leaves open.
pub fn describe(random: &mut Random) -> Scene {
    let background = background(random);
    let free = free_colors(background);
    let (subject, objects) = if random.unit() < 0.6 { one(random, &free) } else { two(random, &free) };
    compose(random, background, subject, objects)
}

/// As [`describe`], but always of so many objects (1 or 2) on a plain background.
pub fn describe_plain(random: &mut Random, objects: usize) -> Scene {
    loop {
        let scene = describe(random);
        if scene.objects.len() == objects && scene.background.pattern == Pattern::Plain {
            return scene;
        }
    }
}

/// As [`describe`], but always of one object, of any size and anywhere: its caption names no place, and the nearest size.
pub fn describe_anywhere(random: &mut Random) -> Scene {
    let background = background(random);
    let free = free_colors(background);
    let (shape, color, radius) = (random.choice(Shape::ALL), random.choice(&free), random.uniform(SMALLEST, LARGEST));
    let room = 1.0 - radius;
    let object = Object {
        shape,
        color,
        radius: radius as f32,
        x: random.uniform(-room, room) as f32,
        y: random.uniform(-room, room) as f32,
    };
    let subject = Subject::One { size: Size::nearest(radius), color, shape, place: None };
    compose(random, background, subject, vec![object])
}

/// The colours that stand out from a background.
pub fn free_colors(background: Background) -> Vec<Color> {
    Color::ALL.iter().copied().filter(|c| *c != background.first && *c != background.second).collect()
}

/// The scene with what the caption leaves open.
fn compose(random: &mut Random, background: Background, subject: Subject, objects: Vec<Object>) -> Scene {
    Scene {
        background,
        phase: random.unit() as f32,
        vertical: random.unit() < 0.5,
        objects,
        caption: Request { subject, background }.caption(),
    }
}

/// A plain background is twice as likely as each other.
fn background(random: &mut Random) -> Background {
    use Pattern::*;
    let pattern = random.choice(&[Plain, Plain, Gradient, Striped, Checkered, Dotted]);
    let (first, second) = random.pair(Color::ALL);
    Background { pattern, first, second: if pattern == Plain { first } else { second } }
}

fn one(random: &mut Random, free: &[Color]) -> (Subject, Vec<Object>) {
    let (shape, color, size) = (random.choice(Shape::ALL), random.choice(free), random.choice(Size::ALL));
    let place = Place::ALL.get(random.below(Place::ALL.len() + 2)).copied();
    let radius = size.radius() * random.uniform(0.93, 1.07);
    let (x, y) = place.unwrap_or(Place::Center).center();
    let shrink = Place::shrink(radius);
    let object = object(random, (color, shape), radius, (x * shrink, y * shrink));
    (Subject::One { size, color, shape, place }, vec![object])
}

fn two(random: &mut Random, free: &[Color]) -> (Subject, Vec<Object>) {
    let (c1, c2) = random.pair(free);
    let (first, second) = ((c1, random.choice(Shape::ALL)), (c2, random.choice(Shape::ALL)));
    let relation = random.choice(Relation::ALL);
    let mut place = |what, relation: Relation| {
        let radius = 0.34 * random.uniform(0.9, 1.1);
        object(random, what, radius, relation.center())
    };
    let objects = vec![place(first, relation), place(second, relation.opposite())];
    (Subject::Pair { first, relation, second }, objects)
}

/// An object a little beside `center`.
fn object(random: &mut Random, (color, shape): (Color, Shape), radius: f64, center: (f64, f64)) -> Object {
    let mut jitter = |v: f64| (v + random.uniform(-0.04, 0.04)) as f32;
    Object { shape, color, radius: radius as f32, x: jitter(center.0), y: jitter(center.1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_ask_for_what_is_drawn() {
        let mut random = Random::new(1, 0);
        for _ in 0..2000 {
            let scene = describe(&mut random);
            let request = Request::parse(&scene.caption).unwrap();
            assert_eq!(request.background, scene.background);
            let asked = match request.subject {
                Subject::One { color, shape, .. } => vec![(color, shape)],
                Subject::Pair { first, second, .. } => vec![first, second],
            };
            let drawn: Vec<_> = scene.objects.iter().map(|o| (o.color, o.shape)).collect();
            assert_eq!(asked, drawn);
            assert!(drawn.iter().all(|(c, _)| *c != scene.background.first && *c != scene.background.second));
        }
    }

    #[test]
    fn plain_scenes_are_plain() {
        let mut random = Random::new(3, 0);
        let captions: Vec<String> = (0..200).map(|_| describe_plain(&mut random, 1).caption).collect();
        let plain = |c: &String| {
            !["gradient", "striped", "checkered", "dots", " of ", "above", "below"].iter().any(|w| c.contains(w))
        };
        assert!(captions.iter().all(plain), "{captions:?}");
    }

    /// Shares of the reference's generator, each within five standard errors.
    #[test]
    fn the_distribution_is_the_references() {
        let n = 20_000;
        let mut random = Random::new(2, 0);
        let scenes: Vec<Scene> = (0..n).map(|_| describe(&mut random)).collect();
        let share = |what: &str, expected: f64, test: &dyn Fn(&Scene) -> bool| {
            let found = scenes.iter().filter(|s| test(s)).count() as f64 / n as f64;
            let error = (expected * (1.0 - expected) / n as f64).sqrt();
            assert!((found - expected).abs() < 5.0 * error, "{what}: {found}, not {expected}");
        };
        share("one object", 0.6, &|s| s.objects.len() == 1);
        share("plain", 1.0 / 3.0, &|s| s.background.pattern == Pattern::Plain);
        share("dotted", 1.0 / 6.0, &|s| s.background.pattern == Pattern::Dotted);
        share("upright", 0.5, &|s| s.vertical);
        share("a place", 0.6 * 5.0 / 7.0, &|s| s.caption.contains(" in the "));
        share("small", 0.2, &|s| s.caption.starts_with("a small "));
        share("above", 0.1, &|s| s.caption.contains(" above "));
        share("a star first", 1.0 / 9.0, &|s| s.objects[0].shape == Shape::Star);
        share("a red object first", 1.0 / 12.0, &|s| s.objects[0].color == Color::Red);
        share("a late phase", 0.25, &|s| s.phase > 0.75);
    }
}
