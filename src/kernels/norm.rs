//! Normalisations in plain tensor operations: what the layers do where there is no kernel, and what kernels are compared with.

use burn::tensor::Tensor;

/// `(x - mean) / √(var + eps)` of `x` `[B, N, D]` over its last dimension.
pub fn layer_norm(x: Tensor<3>, eps: f64) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2); // [B, N, 1]
    centred * (variance + eps).sqrt().recip()
}

/// `weight · x / √(mean(x²) + eps)` of `x` `[B, N, D]`, `weight` `[D]`.
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let power = (x.clone() * x.clone()).mean_dim(2); // [B, N, 1]
    x * (power + eps).sqrt().recip() * weight.unsqueeze()
}

/// `(x - mean) / √(var + eps) · weight + bias` of `x` `[B, C, H, W]`, mean and (biased) variance over each of `groups` groups of
/// channels and all pixels. `weight` and `bias` are `[C]`.
///
/// Means are taken over rows first and then over their results, which keeps millions of pixels exact in f32 and gives a GPU
/// enough independent sums.
pub fn group_norm(x: Tensor<4>, groups: usize, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let mean = |x: Tensor<4>| x.mean_dim(3).mean_dim(2); // [B, G, 1, 1]
    let x = x.reshape([b, groups, c / groups * h, w]); // [B, G, C/G·H, W]
    let x = x.clone() - mean(x);
    let deviation = (mean(x.clone() * x.clone()) + eps).sqrt(); // [B, G, 1, 1]
    let x = (x / deviation).reshape([b, c, h, w]);
    x * weight.reshape([1, c, 1, 1]) + bias.reshape([1, c, 1, 1])
}
