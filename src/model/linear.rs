//! A linear layer over the last dimension, with its weight as checkpoints store it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::adapter::Adapter;
use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::linear::{linear, linear_residual};
use crate::kernels::residual::Residual;
use crate::kernels::weight::{Weight, param};

/// `y = x Wᵀ + b`, and with an adapter `+ (x Aᵀ) Bᵀ`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    weight: Weight,
    /// `[out]`.
    bias: Option<Param<Tensor<1>>>,
    adapter: Option<Adapter>,
}

impl Linear {
    /// Takes `weight` `[output, input]` and, if `bias`, `bias` `[output]`.
    pub fn load(scope: &mut Scope, input: usize, output: usize, bias: bool) -> Result<Self> {
        let adapter = Adapter::load(scope, input, output)?;
        let weight = match scope.take_packed("weight", [output, input])? {
            Some(packed) => Weight::Packed(packed),
            None => Weight::new(scope.take("weight", [output, input])?),
        };
        let bias = if bias { Some(param(scope.take("bias", [output])?)) } else { None };
        Ok(Self { weight, bias, adapter })
    }

    /// From a weight `[out, in]` and a bias `[out]`.
    pub fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight: Weight::new(weight), bias: bias.map(param), adapter: None }
    }

    pub fn with_adapter(self, adapter: Option<Adapter>) -> Self {
        Self { adapter, ..self }
    }

    pub fn weight(&self) -> &Weight {
        &self.weight
    }

    /// `[.., in]` to `[.., out]`, as one matrix product over all leading dimensions.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.forward_activated(x, Activation::None)
    }

    /// GELU of [`Linear::forward`].
    pub fn forward_gelu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.forward_activated(x, Activation::Gelu)
    }

    /// SiLU of [`Linear::forward`].
    pub fn forward_silu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.forward_activated(x, Activation::Silu)
    }

    /// `residual` of [`Linear::forward`]; `x` is `[B, N, in]`.
    pub fn forward_residual(&self, x: Tensor<3>, residual: Residual) -> Tensor<3> {
        match &self.adapter {
            Some(_) => residual.reference(self.forward(x)),
            None => linear_residual(x, &self.weight, self.bias(), residual),
        }
    }

    fn forward_activated<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        match &self.adapter {
            Some(adapter) => {
                let y = linear(x.clone(), &self.weight, self.bias(), Activation::None);
                activation.apply(y + adapter.forward(x))
            }
            None => linear(x, &self.weight, self.bias(), activation),
        }
    }

    fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().map(Param::val)
    }
}
