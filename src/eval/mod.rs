//! How well a model does, native only: its pictures are judged against their captions, compared with true ones, and counted with
//! what they cost.
//!
//! [`generation`] draws the held-out prompts of an [`exam`], that of [`scenes`] or of [`stickers`]; [`inpainting`] replaces objects of
//! scenes. [`judge`] says what a picture of a scene shows, [`features`] how far two sets of pictures are apart, [`edges`] whether
//! patches leave seams.

pub mod edges;
pub mod exam;
pub mod features;
pub mod generation;
pub mod inpainting;
pub mod judge;
pub mod scenes;
pub mod stickers;
