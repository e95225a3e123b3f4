//! Normalisation over the channels of a token: LayerNorm without affine (PixArt) and with (its variants), RMSNorm (T5).

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::norm::{self, ModulatedNorm, modulated_norm, rms_norm};
use crate::kernels::residual::{ModulationRow, SelectedTokens};
use crate::kernels::weight::param;

/// Epsilon of PixArt's LayerNorms.
const LAYER_NORM_EPS: f64 = 1e-6;

/// `(x - mean) / sqrt(var + 1e-6)` over the last dimension.
pub fn layer_norm(x: Tensor<3>) -> Tensor<3> {
    norm::layer_norm(x, LAYER_NORM_EPS)
}

/// adaLN: `LN(x) (1 + scale) + shift` of `x` `[B, N, D]`, or of the selected of its tokens. Kernels store it as `dtype`.
pub fn modulated_layer_norm(
    x: Tensor<3>,
    selected: Option<&SelectedTokens>,
    shift: ModulationRow,
    scale: ModulationRow,
    dtype: DType,
) -> Tensor<3> {
    modulated_norm(ModulatedNorm { x, selected: selected.cloned(), shift, scale, eps: LAYER_NORM_EPS, dtype })
}

/// `weight · (x - mean) / sqrt(var + 1e-5) + bias`: torch's `LayerNorm` at its defaults.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[D]` each.
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl LayerNorm {
    const EPS: f64 = 1e-5;

    pub fn load(scope: &mut Scope, width: usize) -> Result<Self> {
        Ok(Self { weight: param(scope.take("weight", [width])?), bias: param(scope.take("bias", [width])?) })
    }

    /// `[B, N, D]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        norm::layer_norm(x, Self::EPS) * self.weight.val().unsqueeze::<3>() + self.bias.val().unsqueeze::<3>()
    }
}

/// `weight · x / sqrt(mean(x²) + eps)`: T5's layer norm.
#[derive(Module, Debug)]
pub struct RmsNorm {
    weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    pub fn load(scope: &mut Scope, width: usize, eps: f64) -> Result<Self> {
        Ok(Self { weight: param(scope.take("weight", [width])?), eps })
    }

    /// `[B, S, E]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        rms_norm(x, self.weight.val(), self.eps)
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use crate::kernels::activation::gelu_tanh;
    use burn::tensor::{Device, TensorData};

    fn values(count: usize, seed: f32) -> Vec<f32> {
        (0..count).map(|i| ((i as f32 * 0.7311 + seed).sin() * 43.7).fract() * 3.0).collect()
    }

    /// Output and gradients of `run` on leaves of the given shapes, for a loss that weighs every output differently.
    fn traced(shapes: &[[usize; 3]], run: impl Fn(&[Tensor<3>]) -> Tensor<3>) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let leaf = |(i, shape): (usize, &[usize; 3])| {
            let data = TensorData::new(values(shape.iter().product(), i as f32), *shape);
            Tensor::<3>::from_data(data, &device).require_grad()
        };
        let leaves: Vec<Tensor<3>> = shapes.iter().enumerate().map(leaf).collect();
        let y = run(&leaves);
        let weights = Tensor::from_data(TensorData::new(values(y.shape().num_elements(), 9.0), y.dims()), &device);
        let gradients = (y.clone() * weights).sum().backward();
        let all = std::iter::once(y.inner()).chain(leaves.iter().map(|l| l.grad(&gradients).unwrap()));
        all.map(|t| t.into_data().try_to_vec().unwrap()).collect()
    }

    fn check(fused: Vec<Vec<f32>>, reference: Vec<Vec<f32>>) {
        for (i, (a, b)) in fused.iter().zip(&reference).enumerate() {
            let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
            let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest;
            assert!(a.len() == b.len() && worst < 1e-5, "tensor {i}: {worst}");
        }
    }

    #[test]
    fn fused_norm_and_gelu_are_their_references() {
        for (b, n, d) in [(2, 5, 24), (3, 1, 7), (1, 64, 128)] {
            let shapes = [[b, n, d], [b, 6, d]];
            let row = |t: &Tensor<3>, row| ModulationRow { table: t.clone(), row };
            let fused =
                traced(&shapes, |l| modulated_layer_norm(l[0].clone(), None, row(&l[1], 2), row(&l[1], 4), DType::F32));
            let reference =
                traced(&shapes, |l| layer_norm(l[0].clone()) * (row(&l[1], 4).values() + 1.0) + row(&l[1], 2).values());
            check(fused, reference);
            // Through a transpose, so that the memory is not in order.
            let transposed = |l: &[Tensor<3>]| l[0].clone().swap_dims(1, 2);
            check(
                traced(&shapes[..1], |l| gelu_tanh(transposed(l))),
                traced(&shapes[..1], |l| burn::tensor::activation::gelu_approximate(transposed(l))),
            );
        }
    }
}
