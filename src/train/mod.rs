//! Training, native only: a dense model from captioned pictures, and DiffCR's routers, keep ratios and weights from a dense model.
//!
//! ```text
//! config ── run (the loop: stages, steps, checkpoints)
//!   │        ├─ objective (what is learned) ┬─ denoiser ── net (a graph from flat parameters) ── soft_ratio (two-bin mix)
//!   │        │                              │     ├─ recompute (one layer's graph at a time)
//!   │        │                              │     ├─ noise (what is learned from), latents (behind an autoencoder)
//!   │        │                              │     ├─ vlb (what a learned variance costs)
//!   │        │                              │     └─ rounding (weights as they will be stored)
//!   │        │                              └─ autoencoder, classifier
//!   │        ├─ source (where pictures come from), step (micro-batches on all cores)
//!   │        ├─ gradient, resident (where they are, and the update on a GPU)
//!   │        ├─ optimizer, muon, ema, controller (between the steps), reach (whether its ratios can get there)
//!   │        └─ checkpoint, progress, plot, samples (what is left behind)
//!   └─ origin, init, encoding, frozen, lora (what it starts from) ─── export (the bundle it ends in)
//! cache (latents and text states for many runs), plan (what a run will cost)
//! ```

pub mod autoencoder;
pub mod cache;
pub mod checkpoint;
pub mod classifier;
pub mod config;
pub mod controller;
pub mod denoiser;
pub mod ema;
pub mod encoding;
mod exact;
pub mod export;
pub mod files;
pub mod frozen;
pub mod gradient;
mod held_out;
pub mod init;
pub mod latents;
pub mod lora;
pub mod muon;
pub mod net;
pub mod noise;
pub mod objective;
pub mod optimizer;
pub mod origin;
pub mod parameters;
pub mod plan;
pub mod plot;
pub mod progress;
pub mod reach;
pub mod recompute;
pub mod resident;
pub mod rounding;
pub mod run;
pub mod samples;
pub mod soft_ratio;
pub mod source;
pub mod stage;
pub mod step;
pub mod text_states;
pub mod vlb;
