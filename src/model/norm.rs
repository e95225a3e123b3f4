//! Normalisation over the channels of a token: LayerNorm without affine (PixArt) and RMSNorm (T5).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::bundle::Scope;
use crate::error::Result;

/// Epsilon of PixArt's LayerNorms.
const LAYER_NORM_EPS: f64 = 1e-6;

/// `(x - mean) / sqrt(var + 1e-6)` over the last dimension.
pub fn layer_norm(x: Tensor<3>) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2); // [B, N, 1]
    centred * (variance + LAYER_NORM_EPS).sqrt().recip()
}

/// adaLN: `LN(x) (1 + scale) + shift`, with `shift` and `scale` `[B, 1, D]`.
pub fn modulated_layer_norm(x: Tensor<3>, shift: Tensor<3>, scale: Tensor<3>) -> Tensor<3> {
    layer_norm(x) * (scale + 1.0) + shift
}

/// `weight · x / sqrt(mean(x²) + eps)`: T5's layer norm.
#[derive(Module, Debug)]
pub struct RmsNorm {
    weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    pub fn load(scope: &mut Scope, width: usize, eps: f64) -> Result<Self> {
        Ok(Self { weight: Param::from_tensor(scope.take("weight", [width])?), eps })
    }

    /// `[B, S, E]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let power = (x.clone() * x.clone()).mean_dim(2); // [B, S, 1]
        x * (power + self.eps).sqrt().recip() * self.weight.val().unsqueeze()
    }
}
