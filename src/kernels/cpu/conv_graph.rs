//! Convolution in burn's graph: [`super::conv`] forward and backward.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::autodiff::register;
use super::conv::{self, Shape};
use super::host::values;
use crate::kernels::conv::Window;

/// Convolution that a graph records as one operation.
#[backend_extension(Flex, Autodiff)]
pub trait Convolution: Backend {
    /// `x` `[B, in, H, W]`, `weight` `[out, in, side, side]`.
    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;
}

/// Its gradients.
pub trait ConvolutionBackward: Backend {
    /// Of `x` and `weight`.
    fn convolution_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: Window,
    ) -> [FloatTensor<Self>; 2];
}

/// `[B, in, H, W]` to `[B, out, H', W']`, of tensors that [`super::is_fused`].
pub fn convolution(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Convolution>::convolution(x.into_dispatch(), weight.into_dispatch(), window))
}

fn shape(x: &FlexTensor, weight: &FlexTensor, window: Window) -> Shape {
    let (x, weight) = (x.layout().shape().as_slice(), weight.layout().shape().as_slice());
    Shape::new([x[1], x[2], x[3]], weight[0], window)
}

impl Convolution for Flex {
    fn convolution(x: FlexTensor, weight: FlexTensor, window: Window) -> FlexTensor {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let shape = shape(&x, &weight, window);
        let y = conv::forward(values(&x), values(&weight), shape);
        let [height, width] = shape.to;
        FlexTensor::from_data(TensorData::new(y, [x.layout().shape().as_slice()[0], shape.output, height, width]))
    }
}

impl ConvolutionBackward for Flex {
    fn convolution_backward(x: FlexTensor, weight: FlexTensor, grad: FlexTensor, window: Window) -> [FlexTensor; 2] {
        let (x, weight, grad) = (x.to_contiguous(), weight.to_contiguous(), grad.to_contiguous());
        let [gx, gw] = conv::backward(values(&x), values(&weight), values(&grad), shape(&x, &weight, window));
        let like = |values: Vec<f32>, t: &FlexTensor| {
            FlexTensor::from_data(TensorData::new(values, t.layout().shape().clone()))
        };
        [like(gx, &x), like(gw, &weight)]
    }
}

#[derive(Debug)]
struct Node;

impl<B: ConvolutionBackward> Backward<B, 2> for Node {
    type State = (FloatTensor<B>, FloatTensor<B>, Window);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight, window) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register::<B, 2>(parents, B::convolution_backward(x, weight, grad, window), grads);
    }
}

impl<B: Convolution + ConvolutionBackward, C: CheckpointStrategy> Convolution for Autodiff<B, C> {
    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        let ((x, a), (weight, b)) = (x.into_parts(), weight.into_parts());
        let y = B::convolution(x.clone(), weight.clone(), window);
        match Node.prepare::<C>([a, b]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, window), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution};

    use super::super::{Precision, set_products};
    use super::*;

    /// Its values and gradients are burn's, for every stride and padding.
    #[test]
    fn it_is_the_convolution_of_burn() {
        compare(1e-5);
    }

    #[test]
    fn in_bf16_it_is_so_within_three_digits() {
        let rounded = std::thread::spawn(|| {
            set_products(Precision::Bf16);
            compare(1e-2);
        });
        rounded.join().unwrap();
    }

    fn compare(tolerance: f32) {
        let plain = Device::flex();
        let device = Device::flex().autodiff();
        let window = |side, stride, padding| Window { side, stride, padding, doubled: false };
        for (window, [height, width]) in [
            (window(3, 1, [(1, 1); 2]), [7, 5]),
            (window(3, 2, [(1, 1); 2]), [8, 6]),
            (window(3, 2, [(0, 1); 2]), [6, 9]),
            (window(1, 1, [(0, 0); 2]), [4, 3]),
            (window(5, 3, [(2, 1), (0, 2)]), [11, 10]),
        ] {
            let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &plain).into_data();
            let (x, w) = (random([2, 3, height, width]), random([4, 3, window.side, window.side]));
            let leaf = |data: &TensorData| Tensor::<4>::from_data(data.clone(), &device).require_grad();
            let found = |ours: bool| {
                let (x, w) = (leaf(&x), leaf(&w));
                let y = if ours {
                    convolution(x.clone(), w.clone(), window)
                } else {
                    let options = ConvOptions::new_with_padding([window.stride; 2], window.padding, [1, 1], 1);
                    conv2d(x.clone(), w.clone(), None, options)
                };
                let gradients = (y.clone() * y.clone()).sum().backward();
                [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()]
            };
            for (ours, theirs) in found(true).into_iter().zip(found(false)) {
                let largest: f32 = theirs.clone().abs().max().into_scalar();
                let off: f32 = (ours - theirs).abs().max().into_scalar();
                assert!(off < tolerance * largest, "{window:?}: {off} of {largest}");
            }
        }
    }
}
