//! What a picture of stickers shows: background and colour read from its pixels, the thing named by a classifier.

pub mod exam;
mod ground;
pub mod network;
mod paint;

use serde::Serialize;

use crate::data::stickers::{Background, Relation, Sticker, Tint};
use crate::error::{Error, Result};
use crate::model::classifier::names;

/// Names the things of a picture.
pub trait Classifier {
    /// Looks at `image` `[3, size, size]` in [-1, 1].
    ///
    /// # Errors
    /// What the picture is refused for.
    fn look(&self, image: &[f32], size: usize) -> Result<Answer>;
}

/// What a classifier sees in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Of each of [`concepts()`](crate::data::stickers::concepts), the largest for what is shown most likely.
    pub scores: Vec<f32>,
    /// What the scores are made from.
    pub features: Vec<f32>,
}

/// What was recognised of what was asked; `None` where it was not asked, or nobody was there to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Every thing, top 1 of all concepts.
    pub concept: Option<bool>,
    /// Every tint.
    pub color: Option<bool>,
    pub background: Option<bool>,
    /// Whether anything stands out from the background.
    pub visible: bool,
}

/// What the pixels say, thing by thing in the caption's order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    pub background: Background,
    /// None where nothing stands out.
    pub tints: Vec<Option<Tint>>,
}

/// The least share of a picture's pixels that stand out where something is drawn.
const VISIBLE: f32 = 0.01;

/// Judges `image` `[3, size, size]` in [-1, 1] against what `sticker` asks for; the things by a classifier's answer to it.
///
/// # Errors
/// `InvalidInput` on `image`: not of that size, or not finite.
pub fn judge(image: &[f32], size: usize, sticker: &Sticker, answer: Option<&Answer>) -> Result<Verdict> {
    let seen = look(image, size, sticker)?;
    let asked: Vec<Option<Tint>> = sticker.things.iter().map(|t| t.tint).collect();
    let color = asked
        .iter()
        .any(Option::is_some)
        .then(|| asked.iter().zip(&seen.tints).all(|(asked, seen)| asked.is_none() || asked == seen));
    let things: Vec<usize> = sticker.things.iter().map(|t| t.concept).collect();
    let concept = answer.map(|answer| names(&answer.scores, &things));
    Ok(Verdict {
        concept,
        color,
        background: sticker.asked.background.then(|| ground::matches(sticker.background, seen.background)),
        visible: seen.tints.iter().all(Option::is_some),
    })
}

/// What `image` shows: its background, and the tint of as many things as `sticker` has.
///
/// # Errors
/// As [`judge`].
pub fn look(image: &[f32], size: usize, sticker: &Sticker) -> Result<Seen> {
    if size < 16 || image.len() != 3 * size * size || image.iter().any(|v| !v.is_finite()) {
        return Err(Error::input(
            "image",
            format!("{} values are no picture of {size} x {size} pixels, 16 or more", image.len()),
        ));
    }
    let (background, pixels) = ground::fit(image, size);
    let stands_out = |i: usize| ground::distance(ground::pixel(image, size, i), pixels[i]) > ground::APART;
    let halves: Vec<Box<dyn Fn(usize) -> bool>> = match (sticker.things.len(), sticker.asked.relation) {
        (2, relation) => side_of(relation.unwrap_or(Relation::Beside), size),
        _ => vec![Box::new(|_| true)],
    };
    let tints = halves.iter().map(|half| {
        let all = size * size / halves.len();
        let found: Vec<[f32; 3]> =
            (0..size * size).filter(|&i| half(i) && stands_out(i)).map(|i| ground::pixel(image, size, i)).collect();
        (found.len() as f32 >= VISIBLE * all as f32).then(|| paint::tint(&found))
    });
    Ok(Seen { background, tints: tints.collect() })
}

/// The pixels on the first thing's side, and those on the second's.
fn side_of(relation: Relation, size: usize) -> Vec<Box<dyn Fn(usize) -> bool>> {
    let (x, y) = relation.center();
    let first = move |i: usize| {
        let at = |v: usize| v as f64 + 0.5 - size as f64 / 2.0;
        at(i % size) * x + at(i / size) * y > 0.0
    };
    vec![Box::new(first), Box::new(move |i| !first(i))]
}

#[cfg(test)]
mod tests;
