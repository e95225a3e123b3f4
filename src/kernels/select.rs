//! A router's choice in one go, where a kernel makes it.

use burn::tensor::{Int, Tensor};

use super::residual::SelectedTokens;
#[cfg(feature = "webgpu")]
use super::webgpu;

/// The tokens that [`select`] keeps.
pub struct Selected {
    /// Indices, ascending: `[B, k]`.
    pub index: Tensor<2, Int>,
    /// Scores of all tokens: `[B, N]`.
    pub score: Tensor<2>,
    /// Indices as numbers, and weights: `[B, k, 2]`.
    pub tokens: SelectedTokens,
}

/// The `k` tokens of every image of `x` `[B, N, D]` with the highest scores `sigmoid(x · router)`, `router` `[1, D]`; of equal
/// ones the lower index. Their weights are the scores times `gain`. 1 ≤ k ≤ N.
///
/// None where no kernel does it: the caller then scores, sorts and gathers itself.
pub fn select(x: &Tensor<3>, router: Tensor<2>, k: usize, gain: f64) -> Option<Selected> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(x) {
        return Some(webgpu::select::select(x.clone(), router, k, gain as f32));
    }
    let _ = (x, router, k, gain);
    None
}
