//! A linear layer over the last dimension, with its weight as checkpoints store it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::silu;

use super::activation::gelu_tanh;
use crate::bundle::Scope;
use crate::bundle::weights::param;
use crate::error::Result;
use crate::kernels::Residual;
#[cfg(feature = "webgpu")]
use crate::kernels::webgpu::{self, Activation, Packed};

/// `y = x Wᵀ + b`.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Weight,
    /// `[out]`.
    bias: Option<Param<Tensor<1>>>,
}

/// A weight `[out, in]`.
#[derive(Module, Debug)]
enum Weight {
    Plain(Param<Tensor<2>>),
    /// `[in, out]` in memory: a CPU's matrix product would turn the other around again each time, which is a quarter of its work where
    /// rows are few.
    Turned(Param<Tensor<2>>),
    /// As bundles store it, read by the kernels as it is.
    #[cfg(feature = "webgpu")]
    Packed(Packed),
}

impl Linear {
    /// Takes `weight` `[output, input]` and, if `bias`, `bias` `[output]`.
    pub fn load(scope: &mut Scope, input: usize, output: usize, bias: bool) -> Result<Self> {
        let weight = Weight::load(scope, [output, input])?;
        let bias = if bias { Some(param(scope.take("bias", [output])?)) } else { None };
        Ok(Self { weight, bias })
    }

    /// From a weight `[out, in]` and a bias `[out]`.
    pub fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight: Weight::new(weight), bias: bias.map(param) }
    }

    /// `[.., in]` to `[.., out]`, as one matrix product over all leading dimensions.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&x) {
            return self.launch(x, Activation::None);
        }
        self.plain(x)
    }

    /// GELU of [`Linear::forward`].
    pub fn forward_gelu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&x) {
            return self.launch(x, Activation::Gelu);
        }
        gelu_tanh(self.plain(x))
    }

    /// SiLU of [`Linear::forward`].
    pub fn forward_silu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&x) {
            return self.launch(x, Activation::Silu);
        }
        silu(self.plain(x))
    }

    /// `residual` of [`Linear::forward`]; `x` is `[B, N, in]`.
    pub fn forward_residual(&self, x: Tensor<3>, residual: Residual) -> Tensor<3> {
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&x) {
            return webgpu::linear_residual(x, self.weight.operand(), self.bias.as_ref().map(Param::val), residual);
        }
        residual.plain(self.plain(x))
    }

    /// What it multiplies so many rows with.
    #[cfg(feature = "webgpu")]
    pub fn product(&self, rows: usize) -> webgpu::Product {
        webgpu::Product { weight: self.weight.operand(), rows }
    }

    #[cfg(feature = "webgpu")]
    fn launch<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        webgpu::linear(x, self.weight.operand(), self.bias.as_ref().map(Param::val), activation)
    }

    fn plain<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let weight = self.weight.turned(); // [in, out]
        let [input, output] = weight.dims();
        let rows = shape.iter().product::<usize>() / input;
        let mut y = x.reshape([rows, input]).matmul(weight); // [rows, out]
        if let Some(bias) = &self.bias {
            y = y + bias.val().unsqueeze();
        }
        shape[D - 1] = output;
        y.reshape(shape)
    }
}

impl Weight {
    fn load(scope: &mut Scope, shape: [usize; 2]) -> Result<Self> {
        #[cfg(feature = "webgpu")]
        if let Some(packed) = scope.take_packed("weight", shape)? {
            return Ok(Self::Packed(packed));
        }
        Ok(Self::new(scope.take("weight", shape)?))
    }

    fn new(weight: Tensor<2>) -> Self {
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&weight) {
            return Self::Plain(param(weight));
        }
        if weight.is_autodiff() {
            return Self::Plain(param(weight)); // used once
        }
        let [output, input] = weight.dims();
        Self::Turned(param(weight.transpose().reshape([input * output]).reshape([input, output])))
    }

    /// `[in, out]`.
    fn turned(&self) -> Tensor<2> {
        match self {
            Self::Plain(weight) => weight.val().transpose(),
            Self::Turned(weight) => weight.val(),
            #[cfg(feature = "webgpu")]
            Self::Packed(packed) => packed.unpack().transpose(),
        }
    }

    #[cfg(feature = "webgpu")]
    fn operand(&self) -> webgpu::Weight {
        match self {
            Self::Plain(weight) => webgpu::Weight::Plain(weight.val()),
            Self::Turned(weight) => webgpu::Weight::Plain(weight.val().transpose()),
            Self::Packed(packed) => webgpu::Weight::Packed(packed.clone()),
        }
    }
}
