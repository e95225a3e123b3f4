//! What a sticker is: its things, its background, and what its caption asks for.

use serde::{Deserialize, Serialize};

use super::concepts::concepts;
use super::words::{Place, Relation, Shade, Size, Style, Tint};
use crate::data::scenes::Pattern;

/// Everything that a picture is drawn from, and its caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sticker {
    pub style: Style,
    /// One or two; the later lie over the earlier.
    pub things: Vec<Thing>,
    pub background: Background,
    /// Where stripes begin, in halves of their period.
    pub phase: f32,
    /// Whether stripes stand upright.
    pub vertical: bool,
    /// What the caption asks for.
    pub asked: Asked,
    pub caption: String,
}

/// A drawing in its place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thing {
    /// Index in [`concepts`].
    pub concept: usize,
    /// None for the natural colours.
    pub tint: Option<Tint>,
    pub radius: f32,
    pub x: f32,
    pub y: f32,
    pub flip: bool,
}

/// A pattern of two shades; a plain one has its shade twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Background {
    pub pattern: Pattern,
    pub first: Shade,
    pub second: Shade,
}

/// What the caption says beside the things, their tints and the style; what it leaves out has its usual value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub size: Size,
    pub place: Option<Place>,
    pub relation: Option<Relation>,
    pub background: bool,
}

/// What a picture may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// All but the held-out pairs of concept and tint.
    Training,
    /// Those alone.
    HeldOut,
    /// Every pair: what a judge learns.
    All,
}

impl Pairs {
    /// Whether a pair that is held out, or is not, may be shown.
    pub fn take(self, held_out: bool) -> bool {
        match self {
            Self::Training => !held_out,
            Self::HeldOut => held_out,
            Self::All => true,
        }
    }
}

impl Thing {
    /// The tint that it has, natural or not.
    pub fn shown_tint(&self) -> Tint {
        self.tint.unwrap_or(concepts()[self.concept].natural)
    }
}
