//! Sigma's KV compression: self-attention reads one key and one value for every square of tokens.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use super::norm::LayerNorm;
use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::cast::cast;
use crate::kernels::weight::param;

/// A depthwise convolution over squares of tokens, without overlap, and a LayerNorm: the same for keys and for values (`sr` and `norm`).
#[derive(Module, Debug)]
pub struct KvCompressor {
    /// `[s², D]`.
    weight: Param<Tensor<2>>,
    /// `[D]`.
    bias: Param<Tensor<1>>,
    norm: LayerNorm,
    scale: usize,
}

impl KvCompressor {
    /// Of tokens of `width` values, `scale` along a square.
    pub fn load(scope: &mut Scope, width: usize, scale: usize) -> Result<Self> {
        let weight = scope.take("sr.weight", [width, 1, scale, scale])?;
        Ok(Self {
            weight: param(weight.reshape([width, scale * scale]).transpose()),
            bias: param(scope.take("sr.bias", [width])?),
            norm: LayerNorm::load(&mut scope.enter("norm"), width)?,
            scale,
        })
    }

    /// Keys or values `x` `[B, N, D]` of a grid of tokens, `[B, (rows / s) · (columns / s), D]`; the rest of a side that `s` does not divide is
    /// not read.
    pub fn forward(&self, x: Tensor<3>, [rows, columns]: [usize; 2]) -> Tensor<3> {
        let ([b, _, d], s, dtype) = (x.dims(), self.scale, x.dtype());
        let (down, across) = (rows / s, columns / s);
        let squares = cast(x, DType::F32)
            .reshape([b, rows, columns, d])
            .narrow(1, 0, down * s)
            .narrow(2, 0, across * s)
            .reshape([b, down, s, across, s, d])
            .permute([0, 1, 3, 2, 4, 5]) // [B, rows / s, columns / s, s, s, D]
            .reshape([b, down * across, s * s, d]);
        let weighed = squares * self.weight.val().unsqueeze::<4>();
        let x = weighed.sum_dim(2).reshape([b, down * across, d]) + self.bias.val().unsqueeze::<3>();
        cast(self.norm.forward(x), dtype)
    }
}
