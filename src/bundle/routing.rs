//! How a model routes its tokens: the part of the manifest that ratios are read from.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What scores are multiplied by, at most: above it nothing is a number any more.
const MAX_GAIN: f64 = 1e6;

/// Token routing: which layers keep how many tokens, by region of the timesteps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Preset {
    pub name: String,
    /// `[regions][layers]`.
    pub keep: Vec<Vec<f64>>,
    /// Share of the steps, from the last one backwards, that run every token.
    #[serde(default)]
    pub dense_steps: f64,
}

impl Routing {
    /// The table is one of `layers` layers, of ratios that can be run.
    pub(super) fn check(&self, layers: usize) -> Result<()> {
        let fault = |reason: String| Err(Error::manifest(format!("routing: {reason}")));
        let in_range = |r: &f64| *r > 0.0 && *r <= 1.0;
        if self.bins.is_empty() || !self.bins.iter().all(in_range) || !self.bins.is_sorted_by(|a, b| a > b) {
            return fault("`bins` must be ratios in (0, 1], descending".into());
        }
        if self.regions == 0 {
            return fault("`regions` is 0".into());
        }
        if !(self.score_gain.is_finite() && self.score_gain > 0.0 && self.score_gain <= MAX_GAIN) {
            return fault(format!("`scoreGain` must be positive, and at most {MAX_GAIN}"));
        }
        for (i, preset) in self.presets.iter().enumerate() {
            let name = preset.name.as_str();
            if name.is_empty() || name == "off" || name.parse::<f64>().is_ok() {
                return fault(format!(
                    "preset {name:?}: the name means something else where a compression is asked for"
                ));
            }
            if self.presets.iter().take(i).any(|other| other.name == name) {
                return fault(format!("preset {name:?} is listed twice"));
            }
            if preset.keep.len() != self.regions || preset.keep.iter().any(|row| row.len() != layers) {
                return fault(format!("preset {:?}: `keep` must be {} x {layers}", preset.name, self.regions));
            }
            if !preset.keep.iter().flatten().all(in_range) {
                return fault(format!("preset {:?}: a keep ratio is outside (0, 1]", preset.name));
            }
            if !(0.0..=1.0).contains(&preset.dense_steps) {
                return fault(format!("preset {:?}: `denseSteps` is outside 0..1", preset.name));
            }
        }
        if !self.presets.iter().any(|p| p.name == self.default) {
            return fault(format!("the default preset {:?} is not listed", self.default));
        }
        Ok(())
    }
}
