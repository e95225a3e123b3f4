//! Training and its measure, native only: where pictures and captions come from, and how well a model draws what it is asked.

pub mod data;
pub mod evaluate;
pub mod features;
pub mod judge;
pub mod random;
pub mod scenes;
