//! How well a model does, native only: its pictures are judged against their captions, compared with true ones, and counted with
//! what they cost.
//!
//! [`generation`] draws held-out prompts, [`inpainting`] replaces objects; both ask [`judge`] what a picture shows, and
//! [`features`] how far two sets of pictures are apart.

pub mod features;
pub mod generation;
pub mod inpainting;
pub mod judge;
pub mod stickers;
