//! Keep ratios: from a learned table to the number of tokens that each layer runs at a timestep.

use serde::{Deserialize, Serialize};

use crate::bundle::routing::{Preset, Routing};
use crate::error::{Error, Result};

/// How much of the computation a caller wants saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(untagged)]
pub enum Compression {
    /// `learned` (the default preset), `off` (every token in every layer), or a preset's name.
    Name(String),
    /// The share of tokens that layers skip on average, 0 … 0.9: the learned table rescaled.
    Share(f64),
}

impl Default for Compression {
    /// `learned`.
    fn default() -> Self {
        Self::Name("learned".into())
    }
}

impl Compression {
    /// Whether a dense model satisfies it.
    pub fn asks_for_nothing(&self) -> bool {
        match self {
            Self::Name(name) => name == "learned" || name == "off",
            Self::Share(share) => *share == 0.0,
        }
    }

    /// As a user writes it.
    pub fn label(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Share(share) => share.to_string(),
        }
    }
}

impl std::str::FromStr for Compression {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.into()), Self::Share))
    }
}

/// Keep ratios of a run, already at the bins: `[regions][layers]`, and the steps that run dense.
#[derive(Debug, Clone, PartialEq)]
pub struct KeepTable {
    keep: Vec<Vec<f64>>,
    train_timesteps: usize,
    dense_steps: f64,
}

impl KeepTable {
    /// The table that `compression` means for a model's `routing`.
    ///
    /// # Errors
    /// `InvalidInput` on `compression`: no such preset, or a share outside 0 … 0.9.
    pub fn new(routing: &Routing, compression: &Compression, train_timesteps: usize) -> Result<Self> {
        let name = match compression {
            Compression::Name(name) if name != "learned" => name.as_str(),
            _ => routing.default.as_str(),
        };
        let preset = routing.presets.iter().find(|p| p.name == name);
        let (keep, dense_steps) = match (compression, preset) {
            (Compression::Share(share), Some(preset)) => (rescale(routing, preset, *share)?, 0.0),
            (_, Some(preset)) => (binned(&preset.keep, &routing.bins), preset.dense_steps),
            (Compression::Name(name), None) if name == "off" => {
                (routing.presets.first().map_or_else(Vec::new, |p| vec![vec![1.0; p.keep[0].len()]]), 0.0)
            }
            _ => {
                let names: Vec<&str> = routing.presets.iter().map(|p| p.name.as_str()).collect();
                return Err(Error::input(
                    "compression",
                    format!("{name:?} is none of learned, off, {}", names.join(", ")),
                ));
            }
        };
        Ok(Self { keep, train_timesteps, dense_steps })
    }

    /// Keep ratios `[layers]` at step `step` of `steps`, which the network is told as `timestep`.
    ///
    /// The dense steps are the last ones, where details are drawn.
    pub fn at(&self, step: usize, steps: usize, timestep: f64) -> Vec<f64> {
        let row = self.ratios(timestep);
        let dense = (self.dense_steps * steps as f64).round() as usize;
        if step + dense >= steps { vec![1.0; row.len()] } else { row.to_vec() }
    }

    /// Keep ratios `[layers]` of the region that `timestep` lies in.
    pub fn ratios(&self, timestep: f64) -> &[f64] {
        &self.keep[region(timestep, self.keep.len(), self.train_timesteps)]
    }

    /// The ratios, `[regions][layers]`.
    pub fn table(&self) -> &[Vec<f64>] {
        &self.keep
    }

    /// Mean keep ratio of the table.
    pub fn mean(&self) -> f64 {
        mean(&self.keep)
    }
}

/// `min(R − 1, floor(t · R / T))`.
pub fn region(timestep: f64, regions: usize, train_timesteps: usize) -> usize {
    ((timestep * regions as f64 / train_timesteps as f64).max(0.0) as usize).min(regions - 1)
}

/// `max(1, ceil(keep · N))` tokens; rounding at the sixth decimal keeps 0.7 · 10 at 7.
pub fn tokens(keep: f64, n: usize) -> usize {
    let exact = (keep * n as f64 * 1e6).round() / 1e6;
    (exact.ceil() as usize).clamp(1, n)
}

/// The bin nearest to a ratio; a tie goes to the larger one. `bins` descend.
pub fn nearest_bin(ratio: f64, bins: &[f64]) -> f64 {
    let better = |best: f64, bin: f64| if (bin - ratio).abs() < (best - ratio).abs() - 1e-9 { bin } else { best };
    bins.iter().copied().reduce(better).unwrap_or(1.0)
}

fn binned(keep: &[Vec<f64>], bins: &[f64]) -> Vec<Vec<f64>> {
    keep.iter().map(|row| row.iter().map(|&r| nearest_bin(r, bins)).collect()).collect()
}

fn mean(keep: &[Vec<f64>]) -> f64 {
    let count: usize = keep.iter().map(Vec::len).sum();
    keep.iter().flatten().sum::<f64>() / count.max(1) as f64
}

/// The largest and the least of descending keep ratios; 1 where there is none.
pub fn limits(bins: &[f64]) -> (f64, f64) {
    (bins.first().copied().unwrap_or(1.0), bins.last().copied().unwrap_or(1.0))
}

/// Share of the tokens that layers may be asked to skip, at most.
pub const MAX_SHARE: f64 = 0.9;

/// The learned table stretched to skip `share` of the tokens on average: `1 − a (1 − keep)`, within the bins, with the `a` whose
/// binned mean comes nearest. What the model learned to compress more is compressed more; a table that never compresses is
/// compressed evenly.
fn rescale(routing: &Routing, preset: &Preset, share: f64) -> Result<Vec<Vec<f64>>> {
    if !(0.0..=MAX_SHARE).contains(&share) {
        return Err(Error::input("compression", format!("{share} is not in 0 … {MAX_SHARE}")));
    }
    let (_, lowest) = limits(&routing.bins);
    let skip: Vec<Vec<f64>> = if mean(&preset.keep) > 1.0 - 1e-6 {
        preset.keep.iter().map(|row| vec![1.0; row.len()]).collect()
    } else {
        preset.keep.iter().map(|row| row.iter().map(|&r| 1.0 - r).collect()).collect()
    };
    let table = |a: f64| {
        let stretched: Vec<Vec<f64>> =
            skip.iter().map(|row| row.iter().map(|&s| (1.0 - a * s).clamp(lowest, 1.0)).collect()).collect();
        binned(&stretched, &routing.bins)
    };
    // The binned mean falls with `a`: bisect, then take the better side.
    let (mut low, mut high) = (0.0, 1e4);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if mean(&table(middle)) >= 1.0 - share { low = middle } else { high = middle }
    }
    let distance = |a: f64| (mean(&table(a)) - (1.0 - share)).abs();
    Ok(table(if distance(low) <= distance(high) { low } else { high }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::routing::ScoreScale;

    fn routing() -> Routing {
        let keep = vec![vec![0.5, 0.62, 0.71, 1.0], vec![0.8, 0.9, 0.94, 1.0]];
        let preset = Preset { name: "learned".into(), keep, dense_steps: 0.0 };
        let fast = Preset { name: "fast".into(), keep: vec![vec![0.5; 4]; 2], dense_steps: 0.25 };
        Routing {
            bins: (0..10).map(|i| 1.0 - 0.1 * i as f64).collect(),
            regions: 2,
            score_scale: ScoreScale::Mlp,
            score_gain: 1.0,
            presets: vec![preset, fast],
            default: "learned".into(),
        }
    }

    fn table(compression: Compression) -> KeepTable {
        KeepTable::new(&routing(), &compression, 1000).unwrap()
    }

    #[test]
    fn counts_follow_the_ceiling() {
        assert_eq!(
            [tokens(0.7, 10), tokens(0.71, 10), tokens(0.1, 64), tokens(0.001, 64), tokens(1.0, 64)],
            [7, 8, 7, 1, 64]
        );
    }

    #[test]
    fn a_tie_between_bins_keeps_more() {
        let bins = routing().bins;
        assert_eq!(nearest_bin(0.85, &bins), 0.9);
        assert!((nearest_bin(0.84, &bins) - 0.8).abs() < 1e-9);
        assert!((nearest_bin(0.01, &bins) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn regions_split_the_timesteps_evenly() {
        assert_eq!([0.0, 249.0, 250.0, 999.0, 1000.0].map(|t| region(t, 4, 1000)), [0, 0, 1, 3, 3]);
    }

    #[test]
    fn presets_off_and_dense_steps() {
        assert_eq!(table(Compression::default()).at(0, 4, 900.0)[3], 1.0);
        assert_eq!(table(Compression::Name("off".into())).mean(), 1.0);
        let fast = table(Compression::Name("fast".into()));
        assert_eq!(fast.at(2, 4, 100.0), [0.5; 4]);
        assert_eq!(fast.at(3, 4, 50.0), [1.0; 4], "the last quarter of four steps");
        let error = KeepTable::new(&routing(), &Compression::Name("best".into()), 1000).unwrap_err();
        assert!(error.to_string().contains("learned, off, learned, fast"), "{error}");
    }

    #[test]
    fn a_share_rescales_the_learned_table() {
        for share in [0.0, 0.1, 0.2, 0.3, 0.5, 0.7] {
            let table = table(Compression::Share(share));
            assert!((1.0 - table.mean() - share).abs() <= 0.051, "{share}: {}", 1.0 - table.mean());
        }
        let half = table(Compression::Share(0.3));
        assert!(half.keep[0][0] < half.keep[0][2], "the order of the layers is kept");
        assert!(KeepTable::new(&routing(), &Compression::Share(f64::NAN), 1000).is_err());
    }
}
