//! The fused operations in burn's graph: forward on the inner backend, one backward step each.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// Operations that a graph records as one.
#[backend_extension(Flex, Autodiff)]
pub trait Fused: Backend {
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x` `[B, N, D]`, `shift` and `scale` `[B, 1, D]`.
    fn modulated_norm(
        x: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self>;
    /// Over the last dimension.
    fn softmax(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self>;
}

/// Their closed-form gradients.
pub trait FusedBackward: Backend {
    /// From the output.
    fn softmax_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>, scale: f32) -> FloatTensor<Self>;
    fn gelu_tanh_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradients of `x`, `shift` and `scale`.
    fn modulated_norm_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f32,
    ) -> [FloatTensor<Self>; 3];
}

/// `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))` of a tensor that [`super::is_fused`].
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Fused>::gelu_tanh(x.into_dispatch()))
}

/// `LN(x) (1 + scale) + shift` of `x` `[B, N, D]` that [`super::is_fused`]; `shift` and `scale` `[B, 1, D]`.
pub fn modulated_norm(x: Tensor<3>, shift: Tensor<3>, scale: Tensor<3>, eps: f64) -> Tensor<3> {
    let [x, shift, scale] = [x, shift, scale].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as Fused>::modulated_norm(x, shift, scale, eps as f32))
}

/// `softmax(scale · x)` over the last dimension of a tensor that [`super::is_fused`]; the scale is above zero.
pub fn softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Fused>::softmax(x.into_dispatch(), scale as f32))
}

/// Hands its gradient to every parent that wants one.
pub(super) fn register<B: Backend, const N: usize>(
    parents: [Option<NodeId>; N],
    found: [FloatTensor<B>; N],
    grads: &mut Gradients,
) {
    for (parent, grad) in parents.into_iter().zip(found) {
        if let Some(parent) = parent {
            grads.register::<B>(parent, grad);
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: FusedBackward> Backward<B, 1> for Gelu {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let x = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| B::gelu_tanh_backward(x, grad));
    }
}

#[derive(Debug)]
struct Softmax;

impl<B: FusedBackward> Backward<B, 1> for Softmax {
    type State = (FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (y, scale) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| B::softmax_backward(y, grad, scale));
    }
}

#[derive(Debug)]
struct ModulatedNorm;

impl<B: FusedBackward> Backward<B, 3> for ModulatedNorm {
    type State = (FloatTensor<B>, FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, scale, eps) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register::<B, 3>(parents, B::modulated_norm_backward(x, scale, grad, eps), grads);
    }
}

impl<B: Fused + FusedBackward, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(x.clone(), B::gelu_tanh(x)),
            OpsKind::UnTracked(prep) => prep.finish(B::gelu_tanh(x)),
        }
    }

    fn modulated_norm(
        x: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self> {
        let ((x, a), (shift, b), (scale, c)) = (x.into_parts(), shift.into_parts(), scale.into_parts());
        let y = B::modulated_norm(x.clone(), shift, scale.clone(), eps);
        match ModulatedNorm.prepare::<C>([a, b, c]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, scale, eps), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn softmax(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let y = <B as Fused>::softmax(x, scale);
        match Softmax.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((y.clone(), scale), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}
