//! Matrix product with a weight `[out, in]`, and what follows it.

#[cfg(feature = "train")]
use burn::tensor::DType;
use burn::tensor::Tensor;

use super::activation::Activation;
#[cfg(feature = "train")]
use super::cpu::{self, Precision};
use super::residual::Residual;
#[cfg(feature = "webgpu")]
use super::webgpu;
use super::weight::Weight;
#[cfg(feature = "train")]
use crate::device::is_host;

/// `activation(x Wᵀ + bias)`: `x` `[.., in]`, `bias` `[out]`, to `[.., out]`, as one product over all leading dimensions.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: &Weight,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&x) {
        return webgpu::linear::linear(x, weight, bias, activation);
    }
    activation.apply(reference(x, weight, bias))
}

/// `residual` of `x Wᵀ + bias`; `x` is `[B, N, in]`.
pub fn linear_residual(x: Tensor<3>, weight: &Weight, bias: Option<Tensor<1>>, residual: Residual) -> Tensor<3> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&x) {
        return webgpu::linear::linear_residual(x, weight, bias, residual);
    }
    residual.reference(reference(x, weight, bias))
}

/// `a bᵀ` of `[B, r, C]` and `[B, N, C]`: `[B, r, N]`.
pub fn matmul_transposed(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&a) {
        let of = |image: usize| {
            let at = |x: &Tensor<3>| x.clone().narrow(0, image, 1);
            webgpu::linear::linear(at(&a), &Weight::new(at(&b).squeeze_dim(0)), None, Activation::None)
        };
        return Tensor::cat((0..a.dims()[0]).map(of).collect(), 0);
    }
    a.matmul(b.swap_dims(1, 2))
}

fn reference<const D: usize>(x: Tensor<D>, weight: &Weight, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut shape = x.dims();
    let [output, input] = weight.shape();
    let rows = shape.iter().product::<usize>() / input;
    let mut y = product(x.reshape([rows, input]), weight);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    shape[D - 1] = output;
    y.reshape(shape)
}

/// `x Wᵀ`, rounded where the products of this thread are: `[rows, in]` to `[rows, out]`.
fn product(x: Tensor<2>, weight: &Weight) -> Tensor<2> {
    let dtype = x.dtype();
    #[cfg(feature = "train")]
    if cpu::products() == Precision::Bf16 && cpu::is_fused(&x) {
        let weight = match weight {
            Weight::AsStored(weight) => weight.val(),
            other => other.transposed().transpose(),
        };
        return cpu::linear(x, weight.cast(dtype));
    }
    let weight = weight.transposed(); // [in, out]
    #[cfg(feature = "train")]
    if cpu::products() == Precision::Bf16 && dtype == DType::F32 && !is_host(&x.device()) {
        return x.cast(DType::BF16).matmul(weight.cast(DType::BF16)).cast(dtype);
    }
    let weight = if weight.dtype() == dtype { weight } else { weight.cast(dtype) };
    x.matmul(weight)
}
