//! Held-out prompts and who judges what is drawn for them.

use super::features::Statistics;
use crate::error::Result;

/// Borders of patches that pictures are searched for seams along: cells of the latents, or tokens of pixels.
pub const PATCH: usize = 8;

/// What the judge says of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// In the order of [`Exam::marks`]; `None` where it was not asked, or nobody was there to tell.
    pub marks: Vec<Option<bool>>,
    /// What distances between sets of pictures are measured by.
    pub features: Vec<f32>,
}

/// The same prompts for every model.
pub trait Exam: Sync {
    /// What the marks are called; the first is that of the whole prompt.
    fn marks(&self) -> &'static [&'static str];

    fn prompts(&self) -> &[String];

    /// The least side of a picture that can be judged.
    fn least_side(&self) -> usize;

    /// Of true pictures of other prompts, which sets of pictures are compared with.
    fn reference(&self) -> &Statistics;

    /// What prompt `i` asks for, `[3, side, side]` in [-1, 1], and its side.
    ///
    /// # Errors
    /// Where it cannot be drawn.
    fn true_picture(&self, i: usize) -> Result<(Vec<f32>, usize)>;

    /// Marks for `picture` `[3, side, side]`, drawn for prompt `i`.
    ///
    /// # Errors
    /// What the picture is refused for.
    fn judge(&self, i: usize, picture: &[f32], side: usize) -> Result<Judged>;
}
