//! The settings of `train classifier`.

use serde::{Deserialize, Serialize};

/// A new classifier. The loss is the cross-entropy with the things that a picture shows, each with an equal share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClassifierSettings {
    /// Side of the picture that the network sees; larger ones are averaged down to it.
    pub side: usize,
    /// Channels of the levels; each halves the side.
    pub widths: Vec<usize>,
    /// Residual blocks of the levels.
    pub blocks: Vec<usize>,
    /// Deviation of the noise on the pictures that it learns from, whose values are in [-1, 1].
    pub noise: f64,
}

impl Default for ClassifierSettings {
    fn default() -> Self {
        Self { side: 64, widths: vec![32, 64, 128], blocks: vec![1, 1, 1], noise: 0.1 }
    }
}
