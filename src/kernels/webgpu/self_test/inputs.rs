//! What several cases are made from.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::kernels::residual::SelectedTokens;
use crate::kernels::webgpu::cast::cast;
use crate::kernels::webgpu::compare::values;

/// Every other token, with weights: `[B, k, 2]`.
pub fn selected(b: usize, k: usize, device: &Device) -> SelectedTokens {
    let weights = values(b * k, 8.0);
    let data = weights.iter().enumerate().flat_map(|(i, &weight)| [(2 * (i % k) + 1) as f32, weight]).collect();
    Tensor::from_data(TensorData::new(data, [b, k, 2]), device)
}

/// `x` as one kernel may hand it to the next.
pub fn as_f16<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    cast(x, DType::F16)
}
