//! A linear layer over the last dimension, with its weight as checkpoints store it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::bundle::Scope;
use crate::error::Result;

/// `y = x Wᵀ + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    weight: Param<Tensor<2>>,
    /// `[out]`.
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Takes `weight` `[output, input]` and, if `bias`, `bias` `[output]`.
    pub fn load(scope: &mut Scope, input: usize, output: usize, bias: bool) -> Result<Self> {
        let weight = scope.take("weight", [output, input])?;
        let bias = if bias { Some(scope.take("bias", [output])?) } else { None };
        Ok(Self::new(weight, bias))
    }

    /// From a weight `[out, in]` and a bias `[out]`.
    pub fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight: Param::from_tensor(weight), bias: bias.map(Param::from_tensor) }
    }

    /// `[.., in]` to `[.., out]`, as one matrix product over all leading dimensions.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let weight = self.weight.val(); // [out, in]
        let [output, input] = weight.dims();
        let rows = shape.iter().product::<usize>() / input;
        let mut y = x.reshape([rows, input]).matmul(weight.transpose()); // [rows, out]
        if let Some(bias) = &self.bias {
            y = y + bias.val().unsqueeze();
        }
        shape[D - 1] = output;
        y.reshape(shape)
    }
}
