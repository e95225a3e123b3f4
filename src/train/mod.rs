//! Training: a dense model from captioned pictures, and DiffCR's routers, keep ratios and weights from a dense model.
//!
//! ```text
//! config ── run (the loop) ─ step (micro-batches on all cores) ─ net (a graph from flat parameters) ─ soft_ratio (two-bin mix)
//!            │                └─ optimizer, ema, controller (between the steps)
//!            └─ checkpoint, progress, plot ── export (a bundle)
//! ```

pub mod controller;
pub mod parameters;
pub mod soft_ratio;
