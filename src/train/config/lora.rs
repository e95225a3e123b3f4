//! The settings of low-rank adapters.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The layers that PixArt's own LoRA script adapts, as PEFT reads them: a layer's whole name, or the end of it after a dot.
const TARGETS: [&str; 11] = [
    "to_k",
    "to_q",
    "to_v",
    "to_out.0",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
    "proj",
    "linear",
    "linear_1",
    "linear_2",
];

/// How the frozen matrices of the transformer are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    #[default]
    F32,
    /// In half the memory; the adapters learn on top of what is left of the weights.
    Bf16,
}

/// `[lora]`: adapters on layers of the transformer, `y = x Wᵀ + alpha / rank · (x Aᵀ) Bᵀ` with `W` frozen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoraConfig {
    pub rank: usize,
    /// The rank unless given.
    pub alpha: Option<f64>,
    /// Names of layers, or how they end.
    #[serde(default = "targets")]
    pub targets: Vec<String>,
    /// How the frozen matrices are kept.
    #[serde(default)]
    pub base: Base,
    /// Where PEFT's `adapter_config.json` and `adapter_model.safetensors` go, beside the merged bundle in `out`.
    pub out: Option<PathBuf>,
}

impl LoraConfig {
    /// With the defaults.
    pub fn new(rank: usize) -> Self {
        Self { rank, alpha: None, targets: targets(), base: Base::default(), out: None }
    }

    pub fn alpha(&self) -> f64 {
        self.alpha.unwrap_or(self.rank as f64)
    }

    /// What `B A` is multiplied by.
    pub fn scale(&self) -> f64 {
        self.alpha() / self.rank as f64
    }
}

fn targets() -> Vec<String> {
    TARGETS.map(str::to_owned).to_vec()
}
