//! What to export, how, and what came of it.

use std::path::PathBuf;

/// What a bundle becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A folder that diffusers' pipelines load; DiffCR's routers and ratios lie beside the transformer's tensors.
    Diffusers,
    /// The transformer alone as `torch.save` writes it, under PixArt's names, with DiffCR's `router.weight`, `diff_ratio` and `kept_ratio_candidate`.
    DiffcrPth,
}

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    F16,
}

#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The bundle.
    pub src: PathBuf,
    /// The folder, or the file, that it becomes; nothing may be there.
    pub out: PathBuf,
    pub layout: Layout,
    pub precision: Precision,
}

/// What was written.
#[derive(Debug)]
pub struct Exported {
    pub tensors: usize,
    pub bytes: u64,
    /// What the other layout has no place for.
    pub notes: Vec<String>,
}
