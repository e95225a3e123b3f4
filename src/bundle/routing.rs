//! How a model routes its tokens: the part of the manifest that ratios are read from.

use serde::{Deserialize, Serialize};

/// Token routing: which layers keep how many tokens, by region of the timesteps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// The keep ratios a layer can run at, descending.
    pub bins: Vec<f64>,
    pub regions: usize,
    pub score_scale: ScoreScale,
    pub score_gain: f64,
    pub presets: Vec<Preset>,
    /// Name of the preset that `learned` means.
    pub default: String,
}

/// What the router's score multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum ScoreScale {
    /// The MLP branch before its residual add.
    Mlp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Preset {
    pub name: String,
    /// `[regions][layers]`.
    pub keep: Vec<Vec<f64>>,
    /// Share of the steps, from the last one backwards, that run every token.
    #[serde(default)]
    pub dense_steps: f64,
}
