//! Normalisations: of rows, with or without a modulation, and of groups of channels.

use burn::tensor::activation::silu;
use burn::tensor::{DType, Tensor};

use super::residual::{ModulationRow, SelectedTokens, gather};
#[cfg(feature = "webgpu")]
use super::webgpu;

/// `(x - mean) / √(var + eps)` of `x` `[B, N, D]` over its last dimension.
pub fn layer_norm(x: Tensor<3>, eps: f64) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2); // [B, N, 1]
    centred * (variance + eps).sqrt().recip()
}

/// adaLN: what is normed, and what modulates it.
#[derive(Debug, Clone)]
pub struct ModulatedNorm {
    /// `[B, N, D]`.
    pub x: Tensor<3>,
    /// Those of its tokens that are normed: `[B, k, 2]`; all where absent.
    pub selected: Option<SelectedTokens>,
    pub shift: ModulationRow,
    pub scale: ModulationRow,
    pub eps: f64,
    /// What a kernel stores it as; F32 where there is none.
    pub dtype: DType,
}

/// `LN(x) (1 + scale) + shift`: `[B, k, D]`.
pub fn modulated_norm(norm: ModulatedNorm) -> Tensor<3> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&norm.x) {
        return webgpu::norm::modulated_norm(norm);
    }
    debug_assert_eq!(norm.x.dtype(), norm.dtype);
    #[cfg(feature = "train")]
    if super::cpu::is_fused(&norm.x) {
        let (x, shift, scale) = (gathered(norm.x, norm.selected), norm.shift.values(), norm.scale.values());
        return super::cpu::modulated_norm(x, shift, scale, norm.eps);
    }
    modulated_norm_reference(norm)
}

/// [`modulated_norm`] in tensor operations.
pub fn modulated_norm_reference(norm: ModulatedNorm) -> Tensor<3> {
    let ModulatedNorm { x, selected, shift, scale, eps, .. } = norm;
    layer_norm(gathered(x, selected), eps) * (scale.values() + 1.0) + shift.values()
}

fn gathered(x: Tensor<3>, selected: Option<SelectedTokens>) -> Tensor<3> {
    match selected {
        Some(selected) => gather(x, selected),
        None => x,
    }
}

/// `weight · x / √(mean(x²) + eps)` of `x` `[B, N, D]`, `weight` `[D]`.
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&x) {
        return webgpu::norm::rms_norm(x, weight, eps);
    }
    rms_norm_reference(x, weight, eps)
}

/// [`rms_norm`] in tensor operations.
pub fn rms_norm_reference(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let power = (x.clone() * x.clone()).mean_dim(2); // [B, N, 1]
    x * (power + eps).sqrt().recip() * weight.unsqueeze()
}

/// The numbers of a group norm.
#[derive(Debug, Clone)]
pub struct GroupNormParameters {
    /// That the channels are split into.
    pub groups: usize,
    /// `[C]`.
    pub weight: Tensor<1>,
    pub bias: Tensor<1>,
    pub eps: f64,
}

/// `(x - mean) / √(var + eps) · weight + bias` of `x` `[B, C, H, W]`, mean and (biased) variance over each group of channels and all
/// pixels; then, where `rectify`, SiLU.
pub fn group_norm(x: Tensor<4>, norm: GroupNormParameters, rectify: bool) -> Tensor<4> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&x) {
        return webgpu::group_norm::group_norm(x, norm, rectify);
    }
    group_norm_reference(x, norm, rectify)
}

/// [`group_norm`] in tensor operations.
///
/// Means are taken over rows first and then over their results, which keeps millions of pixels exact in f32 and gives a GPU
/// enough independent sums.
pub fn group_norm_reference(x: Tensor<4>, norm: GroupNormParameters, rectify: bool) -> Tensor<4> {
    let GroupNormParameters { groups, weight, bias, eps } = norm;
    let [b, c, h, w] = x.dims();
    let mean = |x: Tensor<4>| x.mean_dim(3).mean_dim(2); // [B, G, 1, 1]
    let x = x.reshape([b, groups, c / groups * h, w]); // [B, G, C/G·H, W]
    let x = x.clone() - mean(x);
    let deviation = (mean(x.clone() * x.clone()) + eps).sqrt(); // [B, G, 1, 1]
    let x = (x / deviation).reshape([b, c, h, w]);
    let y = x * weight.reshape([1, c, 1, 1]) + bias.reshape([1, c, 1, 1]);
    if rectify { silu(y) } else { y }
}
