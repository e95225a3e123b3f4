//! Matrix product with a weight `[out, in]`, and what follows it.

use burn::tensor::{DType, Tensor};

use super::activation::Activation;
#[cfg(feature = "train")]
use super::cpu::{self, Precision};
use super::residual::Residual;
#[cfg(feature = "webgpu")]
use super::webgpu;
use super::weight::Weight;
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
    shape[D - 1] = output;
    if !is_host(&x.device()) {
        return in_parts(x.reshape([parts(rows), rows / parts(rows), input]), weight, bias).reshape(shape);
    }
    let mut y = product(x.reshape([rows, input]), weight);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    y.reshape(shape)
}

/// Rows of a part, at the least: fewer would leave tiles of a product empty.
const ROWS_OF_A_PART: usize = 256;

/// How many parts of the rows a GPU works on.
fn parts(rows: usize) -> usize {
    (0..8)
        .map(|power| 1 << power)
        .filter(|&parts| rows.is_multiple_of(parts) && rows / parts >= ROWS_OF_A_PART)
        .max()
        .unwrap_or(1)
}

/// `x Wᵀ + bias` of `x` `[P, R, in]`: `[P, R, out]`.
///
/// The parts are for the gradients of weight and bias, which are sums over all rows: a GPU takes those of all parts at once, and of one long
/// sum only as many invocations have work as the weight has numbers.
fn in_parts(x: Tensor<3>, weight: &Weight, bias: Option<Tensor<1>>) -> Tensor<3> {
    let dtype = x.dtype();
    let weight = weight.transposed().unsqueeze::<3>(); // [1, in, out]
    #[cfg(feature = "train")]
    let rounded = cpu::products() == Precision::Bf16 && dtype == DType::F32;
    #[cfg(not(feature = "train"))]
    let rounded = false;
    let y = match rounded {
        true => x.cast(DType::BF16).matmul(weight.cast(DType::BF16)).cast(dtype),
        false => x.matmul(if weight.dtype() == dtype { weight } else { weight.cast(dtype) }),
    };
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
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
    let weight = if weight.dtype() == dtype { weight } else { weight.cast(dtype) };
    x.matmul(weight)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::kernels::weight::param;

    #[test]
    fn parts_are_as_the_whole_in_values_and_gradients() {
        let (plain, device) = (Device::flex(), Device::flex().autodiff());
        let (rows, input, output) = (1024, 6, 5);
        assert_eq!((parts(rows), parts(32768), parts(100), parts(3 * 256)), (4, 128, 1, 2));
        let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Default, &plain).into_data();
        let (x, w, b) = (random([rows, input]), random([output, input]), random([1, output]));
        let found = |whole: bool| {
            let leaf = |data: &burn::tensor::TensorData| Tensor::<2>::from_data(data.clone(), &device).require_grad();
            let (x, w, b) = (leaf(&x), leaf(&w), leaf(&b));
            let (weight, bias) = (Weight::AsStored(param(w.clone())), Some(b.clone().reshape([output])));
            let y = match whole {
                true => reference(x.clone(), &weight, bias),
                false => in_parts(x.clone().reshape([4, rows / 4, input]), &weight, bias).reshape([rows, output]),
            };
            let gradients = (y.clone() * y.clone()).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap(), b.grad(&gradients).unwrap()]
        };
        for (a, b) in found(true).into_iter().zip(found(false)) {
            let largest: f32 = a.clone().abs().max().into_scalar();
            let off: f32 = (a - b).abs().max().into_scalar();
            assert!(off < 1e-5 * largest, "{off} of {largest}");
        }
    }
}
