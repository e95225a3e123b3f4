//! Differentiable keep ratios: a layer runs at the two bins around its learned ratio and mixes what comes out.
//!
//! With `upper` the smallest bin ≥ the ratio and `lower` the next below it, `w = (ratio − lower) / (upper − lower)`, and the
//! layer gives `w · out(upper) + (1 − w) · out(lower)` (DiffCR, section 3.2).

use burn::tensor::Tensor;

use crate::error::{Error, Result};
use crate::model::layer::{Keep, Layer, LayerInput};
use crate::model::ratios::tokens;

/// Ratios of a region's layers, as the graph and as the host know them.
#[derive(Debug, Clone)]
pub struct SoftRatios {
    /// `[regions · layers]`, row by row.
    table: Tensor<1>,
    values: Vec<f64>,
    layers: usize,
    /// Descending.
    bins: Vec<f64>,
    gain: f64,
}

impl SoftRatios {
    /// `table` holds `values`: the ratios of every layer, region after region.
    ///
    /// # Errors
    /// `InvalidInput` where the lengths do not fit, or `bins` is empty or does not descend.
    pub fn new(table: Tensor<1>, values: Vec<f64>, layers: usize, bins: &[f64], gain: f64) -> Result<Self> {
        if layers == 0 || values.is_empty() || !values.len().is_multiple_of(layers) || table.dims() != [values.len()] {
            return Err(Error::input("ratio", format!("{} ratios are no table of {layers} layers", values.len())));
        }
        if bins.is_empty() || !bins.is_sorted_by(|a, b| a > b) {
            return Err(Error::input("bins", "they must descend"));
        }
        Ok(Self { table, values, layers, bins: bins.to_vec(), gain })
    }

    /// The same without a graph.
    pub fn plain(&self) -> Self {
        Self { table: self.table.clone().inner(), ..self.clone() }
    }

    /// Layer `i` in `region`: the tokens `[B, N, D]` after the mix of its two bins. A layer without a router runs every token.
    ///
    /// A ratio outside the bins counts as the nearest of them, and gets no gradient from here.
    pub fn forward(&self, region: usize, i: usize, layer: &Layer, input: LayerInput) -> Tensor<3> {
        let n = input.x.dims()[1];
        let at = region * self.layers + i;
        let keep = |k| Keep { k, gain: self.gain };
        let Some((router, &ratio)) = layer.router.as_ref().zip(self.values.get(at)) else {
            return layer.forward(input, keep(n)).0;
        };
        let (upper, lower) = bracket(ratio, &self.bins);
        let score = router.score(input.x.clone()); // [B, N]
        let (k_upper, k_lower) = (tokens(upper, n), tokens(lower, n));
        if k_upper == k_lower {
            // The bins keep the same tokens: the mix is either, whatever the ratio.
            return layer.forward_best(input, score, None, keep(k_upper)).0;
        }
        let high = layer.forward_best(input.clone(), score.clone(), None, keep(k_upper)).0; // [B, N, D]
        let low = layer.forward_best(input, score, None, keep(k_lower)).0; // [B, N, D]
        let inside = ratio >= lower && ratio <= upper;
        if !inside {
            return if ratio > upper { high } else { low };
        }
        let weight = (self.table.clone().narrow(0, at, 1) - lower) / (upper - lower); // [1]
        low.clone() + (high - low) * weight.reshape([1, 1, 1])
    }

    /// `(mean ratio − target)²`, `[1]`; `target` is the mean ratio to keep.
    ///
    /// A step's batch is spread evenly over the regions, so the mean ratio of the sampled regions is the mean of the table.
    pub fn loss(&self, target: f64) -> Tensor<1> {
        let error = self.table.clone().mean() - target;
        error.clone() * error
    }
}

/// The smallest bin ≥ `ratio` and the next below it; the ends of `bins` (descending) hold what lies beyond them.
pub fn bracket(ratio: f64, bins: &[f64]) -> (f64, f64) {
    let last = bins.len().saturating_sub(1);
    let above = bins.iter().filter(|&&b| b >= ratio - 1e-9).count(); // bins[above - 1] is the smallest of them
    let upper = above.saturating_sub(1);
    let at = |i: usize| bins.get(i.min(last)).copied().unwrap_or(1.0);
    (at(upper), at(upper + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bins_around_a_ratio() {
        let bins = [1.0, 0.9, 0.8, 0.1];
        for (ratio, expected) in [
            (1.0, (1.0, 0.9)),
            (0.88, (0.9, 0.8)),
            (0.9, (0.9, 0.8)),
            (0.3, (0.8, 0.1)),
            (0.1, (0.1, 0.1)),
            (0.01, (0.1, 0.1)),
            (1.5, (1.0, 0.9)),
        ] {
            assert_eq!(bracket(ratio, &bins), expected, "{ratio}");
        }
    }
}
