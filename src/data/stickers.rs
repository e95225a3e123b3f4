//! Captioned stickers: one or two recoloured drawings of plain things, on a simple background, at any resolution.
//!
//! Coordinates run over [-1, 1] with y pointing down. What a picture shows is drawn by lot from a seed and needs no art; its pixels
//! come from icon sets that `npm ci` installs ([`art`]).

pub mod art;
pub mod caption;
pub mod concepts;
pub mod describe;
pub mod render;
pub mod source;
pub mod sticker;
pub mod tint;
pub mod vocabulary;
pub mod words;

pub use art::Art;
pub use concepts::{Concept, concepts};
pub use describe::describe;
pub use render::render;
pub use source::StickersSource;
pub use sticker::{Asked, Background, Pairs, Sticker, Thing};
pub use words::{Place, Relation, Shade, Size, Style, Tint};

#[cfg(test)]
mod tests;
