//! The fused operations on Flex tensors: slices in, a new tensor out.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::autodiff::{Fused, FusedBackward};
use super::{gelu, norm, softmax};

/// The values of a contiguous f32 tensor.
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>().expect("a contiguous f32 tensor, as `is_fused` and `to_contiguous` made sure")
}

fn tensor(values: Vec<f32>, like: &FlexTensor) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, like.layout().shape().clone()))
}

fn width(x: &FlexTensor) -> usize {
    x.layout().shape().as_slice().last().copied().unwrap_or(1)
}

impl Fused for Flex {
    fn gelu_tanh(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let mut y = vec![0.0; values(&x).len()];
        gelu::forward(values(&x), &mut y);
        tensor(y, &x)
    }

    fn modulated_norm(x: FlexTensor, shift: FlexTensor, scale: FlexTensor, eps: f32) -> FlexTensor {
        let (x, shift, scale) = (x.to_contiguous(), shift.to_contiguous(), scale.to_contiguous());
        let mut y = vec![0.0; values(&x).len()];
        let rows = norm::Rows { width: width(&x), eps };
        norm::forward(values(&x), values(&shift), values(&scale), &mut y, rows);
        tensor(y, &x)
    }

    fn softmax(x: FlexTensor, scale: f32) -> FlexTensor {
        let x = x.to_contiguous();
        let mut y = values(&x).to_vec();
        softmax::forward(&mut y, width(&x), scale);
        tensor(y, &x)
    }
}

impl FusedBackward for Flex {
    fn softmax_backward(y: FlexTensor, grad: FlexTensor, scale: f32) -> FlexTensor {
        let (y, grad) = (y.to_contiguous(), grad.to_contiguous());
        let mut gx = vec![0.0; values(&y).len()];
        softmax::backward(values(&y), values(&grad), &mut gx, width(&y), scale);
        tensor(gx, &y)
    }

    fn gelu_tanh_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let mut gx = vec![0.0; values(&x).len()];
        gelu::backward(values(&x), values(&grad), &mut gx);
        tensor(gx, &x)
    }

    fn modulated_norm_backward(x: FlexTensor, scale: FlexTensor, grad: FlexTensor, eps: f32) -> [FlexTensor; 3] {
        let (x, scale, grad) = (x.to_contiguous(), scale.to_contiguous(), grad.to_contiguous());
        let mut gx = vec![0.0; values(&x).len()];
        let (mut gshift, mut gscale) = (vec![0.0; values(&scale).len()], vec![0.0; values(&scale).len()]);
        let (xs, scales, grads) = (values(&x), values(&scale), values(&grad));
        let gradients = norm::Gradients { x: &mut gx, shift: &mut gshift, scale: &mut gscale };
        norm::backward(xs, scales, grads, gradients, norm::Rows { width: width(&x), eps });
        [tensor(gx, &x), tensor(gshift, &scale), tensor(gscale, &scale)]
    }
}
