//! Training and its measure, native only: a dense model from captioned pictures, DiffCR's routers, keep ratios and weights from a
//! dense model, and how well a model draws what it is asked.
//!
//! ```text
//! config ── run (the loop) ── step (micro-batches on all cores) ── net (a graph from flat parameters) ── soft_ratio (two-bin mix)
//!   │        ├─ data, noise (what is learned from), rounding (weights as they will be stored)
//!   │        ├─ optimizer, muon, ema, controller (between the steps), reach (whether its ratios can get there)
//!   │        └─ checkpoint, progress, plot (what is left behind)
//!   └─ origin, init (what it starts from) ─── export (the bundle it ends in)
//! ```

pub mod checkpoint;
pub mod config;
pub mod controller;
pub mod data;
pub mod ema;
pub mod evaluate;
pub mod export;
pub mod features;
pub mod init;
pub mod inpainting;
pub mod judge;
pub mod lora;
pub mod muon;
pub mod net;
pub mod noise;
pub mod optimizer;
pub mod origin;
pub mod parameters;
pub mod plot;
pub mod progress;
pub mod random;
pub mod reach;
pub mod rounding;
pub mod run;
pub mod scenes;
pub mod soft_ratio;
pub mod stage;
pub mod step;
