//! The judge: says which parts of a scene's caption a picture shows, by drawing what it could be and comparing.
//!
//! Deterministic analysis by synthesis at 64 × 64 pixels: the background is the best of all patterns and colours, each object the
//! best of all nine shapes after its centre and radius have been fitted, its colour the nearest of the twelve.
//!
//! Measured on 2,000 fresh scenes (`judge::tests::figures_of_2000`):
//!
//! | picture | true caption accepted | another scene's caption | one attribute wrong |
//! |---|---|---|---|
//! | 64 px | 100.0 % | 0 % | 0 % |
//! | 128 px | 100.0 % | | |
//! | 64 px, blur σ 0.7 px and noise 0.03 | 98.6 % | | |
//! | 128 px, the same | 100.0 % | | |
//!
//! The wrong attribute is a colour, a shape, the place, the relation, the background's pattern or one of its colours. What is not
//! looked for: objects that nobody asked for. A core judges about 100 pictures of 128 px a second.

mod background;
mod object;
pub mod picture;

use serde::Serialize;

use crate::data::scenes::{Background, Color, Place, Relation, Request, Shape, Size, Subject};
use crate::error::Result;
use object::{Found, Window};
use picture::Picture;

/// Share of the difference from the background that an object must explain where it lies; below it nothing is there.
const PRESENT: f32 = 0.5;

/// What a picture was seen to show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    pub background: Background,
    /// As many as were asked for, less those that are not there.
    pub objects: Vec<SeenObject>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeenObject {
    pub shape: Shape,
    pub color: Color,
    pub radius: f32,
    pub x: f32,
    pub y: f32,
}

/// What was recognised of what was asked; `None` where it was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Every asked shape.
    pub shape: bool,
    /// Every asked colour.
    pub color: bool,
    /// The place of one object, or the relation of two.
    pub place: Option<bool>,
    /// The size of a lone object. Not part of [`Self::accepted`].
    pub size: Option<bool>,
    /// Pattern and colours.
    pub background: bool,
}

impl Verdict {
    /// Every asked shape, colour, place and background was recognised.
    pub fn accepted(&self) -> bool {
        self.shape && self.color && self.background && self.place != Some(false)
    }
}

/// Judges `image` `[3, size, size]` in [-1, 1], `size ≥ 64`, against `request`.
///
/// # Errors
/// `InvalidInput` on `image`: too small, not square, or not finite.
pub fn judge(image: &[f32], size: usize, request: &Request) -> Result<Verdict> {
    Ok(compare(request, &look(image, size, request)?))
}

/// What `image` shows, as far as `request` asks: one object or two.
///
/// # Errors
/// As [`judge`].
pub fn look(image: &[f32], size: usize, request: &Request) -> Result<Seen> {
    let picture = Picture::new(image, size)?;
    let mut ground = background::fit(&picture, |_| true);
    let mut found = objects(&picture, &ground.pixels, request);
    // The objects hide some of the background: look at it again beside them.
    let hidden = object::footprint(&found);
    let again = background::fit(&picture, |i| !hidden[i]);
    if !again.is_like(&ground) {
        ground = again;
        found = objects(&picture, &ground.pixels, request);
    }
    let seen = |f: &Found| SeenObject { shape: f.shape, color: f.color, radius: f.radius, x: f.x, y: f.y };
    let objects = found.iter().filter(|f| f.explained >= PRESENT).map(seen).collect();
    Ok(Seen { background: ground.background, objects })
}

fn objects(picture: &Picture, ground: &[[f32; 3]], request: &Request) -> Vec<Found> {
    match request.subject {
        Subject::One { size, place, .. } => {
            let radius = size.radius();
            let (x, y) = place.unwrap_or(Place::Center).center();
            let shrink = Place::shrink(radius);
            let start = [x * shrink, y * shrink, radius].map(|v| v as f32);
            vec![object::fit(picture, ground, Window::All, start)]
        }
        Subject::Pair { .. } => {
            let windows = object::halves(picture, ground);
            windows.map(|(window, start)| object::fit(picture, ground, window, start)).to_vec()
        }
    }
}

/// The verdict on what was seen.
pub fn compare(request: &Request, seen: &Seen) -> Verdict {
    let background = request.background.matches(seen.background);
    match (request.subject, &seen.objects[..]) {
        (Subject::One { size, color, shape, place }, &[object]) => Verdict {
            shape: object.shape == shape,
            color: object.color == color,
            place: place.map(|p| nearest_place(object) == p),
            size: Some(nearest_size(object.radius) == size),
            background,
        },
        (Subject::Pair { first, relation, second }, &[a, b]) => {
            let read = |a: SeenObject, b: SeenObject| {
                let shapes = [a.shape == first.1, b.shape == second.1];
                let colors = [a.color == first.0, b.color == second.0];
                let placed = relation_of(a, b) == relation;
                let matches = shapes.iter().chain(&colors).filter(|m| **m).count();
                let verdict = Verdict {
                    shape: shapes == [true; 2],
                    color: colors == [true; 2],
                    place: Some(placed),
                    size: None,
                    background,
                };
                ((matches, placed), verdict)
            };
            // Which object is which: the reading that fits best.
            let (one, other) = (read(a, b), read(b, a));
            if other.0 > one.0 { other.1 } else { one.1 }
        }
        (Subject::One { place, .. }, _) => {
            Verdict { shape: false, color: false, place: place.map(|_| false), size: Some(false), background }
        }
        (Subject::Pair { .. }, _) => Verdict { shape: false, color: false, place: Some(false), size: None, background },
    }
}

fn nearest_place(object: SeenObject) -> Place {
    let shrink = Place::shrink(f64::from(object.radius));
    let distance = |place: Place| {
        let (x, y) = place.center();
        (f64::from(object.x) - x * shrink).hypot(f64::from(object.y) - y * shrink)
    };
    Place::ALL.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap_or(Place::Center)
}

fn nearest_size(radius: f32) -> Size {
    let distance = |size: Size| (size.radius() - f64::from(radius)).abs();
    Size::ALL.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap_or(Size::Medium)
}

fn relation_of(a: SeenObject, b: SeenObject) -> Relation {
    let (dx, dy) = (a.x - b.x, a.y - b.y);
    match (dx.abs() > dy.abs(), dx < 0.0, dy < 0.0) {
        (true, true, _) => Relation::LeftOf,
        (true, false, _) => Relation::RightOf,
        (false, _, true) => Relation::Above,
        (false, _, false) => Relation::Below,
    }
}

#[cfg(test)]
mod tests;
