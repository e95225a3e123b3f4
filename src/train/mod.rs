//! Training, native only: a dense model from captioned pictures, and DiffCR's routers, keep ratios and weights from a dense model.
//!
//! ```text
//! config ── run (the loop) ── step (micro-batches on all cores) ── net (a graph from flat parameters) ── soft_ratio (two-bin mix)
//!   │        ├─ noise (what is learned from), rounding (weights as they will be stored)
//!   │        ├─ optimizer, muon, ema, controller (between the steps), reach (whether its ratios can get there)
//!   │        └─ checkpoint, progress, plot (what is left behind)
//!   └─ origin, init (what it starts from) ─── export (the bundle it ends in)
//! ```

pub mod checkpoint;
pub mod config;
pub mod controller;
pub mod ema;
mod exact;
pub mod export;
pub mod init;
pub mod lora;
pub mod muon;
pub mod net;
pub mod noise;
pub mod optimizer;
pub mod origin;
pub mod parameters;
pub mod plot;
pub mod progress;
pub mod reach;
pub mod rounding;
pub mod run;
pub mod soft_ratio;
pub mod stage;
pub mod step;
