//! A linear layer's product in burn's graph, its operands rounded to bf16: [`super::bf16`] forward and backward.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::bf16::{Operand, product};
use super::host::values;

/// A product that a graph records as one operation.
#[backend_extension(Flex, Autodiff)]
pub trait Linear: Backend {
    /// `x` `[R, in]`, `weight` `[out, in]`.
    fn rounded_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Its gradients, `grad` being `[R, out]`.
pub trait LinearBackward: Backend {
    fn gradient_of_x(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    fn gradient_of_weight(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// `x Wᵀ` of tensors that [`super::is_fused`]: `[R, in]` and `[out, in]` to `[R, out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Linear>::rounded_product(x.into_dispatch(), weight.into_dispatch()))
}

fn dims(x: &FlexTensor) -> [usize; 2] {
    let shape = x.layout().shape().as_slice();
    [shape[0], shape[1]]
}

/// `Σ a b` over both second dimensions, or over both first.
fn multiply((a, a_by_inner): (&FlexTensor, bool), (b, b_by_inner): (&FlexTensor, bool)) -> FlexTensor {
    let operand = |x, by_inner| {
        let [first, second] = dims(x);
        let (outer, inner) = if by_inner { (first, second) } else { (second, first) };
        Operand { values: values(x), outer, inner, by_inner }
    };
    let (a, b) = (operand(a, a_by_inner), operand(b, b_by_inner));
    FlexTensor::from_data(TensorData::new(product(a, b), [a.outer, b.outer]))
}

impl Linear for Flex {
    fn rounded_product(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        multiply((&x.to_contiguous(), true), (&weight.to_contiguous(), true))
    }
}

impl LinearBackward for Flex {
    fn gradient_of_x(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
        multiply((&grad.to_contiguous(), true), (&weight.to_contiguous(), false))
    }

    fn gradient_of_weight(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        multiply((&grad.to_contiguous(), false), (&x.to_contiguous(), false))
    }
}

#[derive(Debug)]
struct Node;

impl<B: LinearBackward> Backward<B, 2> for Node {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight) = ops.state;
        let [of_x, of_weight] = ops.parents;
        if let Some(parent) = of_x {
            grads.register::<B>(parent.id, B::gradient_of_x(weight, grad.clone()));
        }
        if let Some(parent) = of_weight {
            grads.register::<B>(parent.id, B::gradient_of_weight(x, grad));
        }
    }
}

impl<B: Linear + LinearBackward, C: CheckpointStrategy> Linear for Autodiff<B, C> {
    fn rounded_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((x, a), (weight, b)) = (x.into_parts(), weight.into_parts());
        let y = B::rounded_product(x.clone(), weight.clone());
        match Node.prepare::<C>([a, b]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    /// Its values and gradients are those of f32 within what rounding leaves, also where only one side learns.
    #[test]
    fn it_is_the_product_within_its_precision() {
        let (plain, device) = (Device::flex(), Device::flex().autodiff());
        let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Default, &plain).into_data();
        let (x, w) = (random([70, 40]), random([50, 40]));
        for [x_learns, w_learns] in [[true, true], [true, false], [false, true]] {
            let found = |ours: bool| {
                let leaf = |data: &TensorData, learns: bool| {
                    let leaf = Tensor::<2>::from_data(data.clone(), &device);
                    if learns { leaf.require_grad() } else { leaf }
                };
                let (x, w) = (leaf(&x, x_learns), leaf(&w, w_learns));
                let y = if ours { linear(x.clone(), w.clone()) } else { x.clone().matmul(w.clone().transpose()) };
                let gradients = (y.clone() * y.clone()).sum().backward();
                let learned = [(x, x_learns), (w, w_learns)].into_iter().filter(|(_, learns)| *learns);
                let gradients = learned.map(|(leaf, _)| leaf.grad(&gradients).unwrap());
                std::iter::once(y.inner()).chain(gradients).collect::<Vec<_>>()
            };
            for (ours, theirs) in found(true).into_iter().zip(found(false)) {
                let largest: f32 = theirs.clone().abs().max().into_scalar();
                let off: f32 = (ours - theirs).abs().max().into_scalar();
                assert!(off > 0.0 && off < 1e-2 * largest, "{off} of {largest}");
            }
        }
    }
}
