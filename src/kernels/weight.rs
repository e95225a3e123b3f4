//! The matrix of a linear layer, where a device's product wants it.

use burn::module::{Module, Param, ParamId};
use burn::tensor::Tensor;

use super::packed::PackedMatrix;
#[cfg(feature = "webgpu")]
use super::webgpu;

/// A layer's parameter, as it was given: [`Param::from_tensor`] would refuse a tensor that is already part of a graph.
pub fn param<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), tensor)
}

/// A weight `[out, in]`.
#[derive(Module, Debug)]
pub enum Weight {
    AsStored(Param<Tensor<2>>),
    /// `[in, out]` in memory: a CPU's matrix product would turn the other around again each time, which is a quarter of its work where
    /// rows are few.
    Transposed(Param<Tensor<2>>),
    /// As bundles store it, read by the kernels as it is.
    Packed(PackedMatrix),
}

impl Weight {
    /// From a tensor `[out, in]`.
    pub fn new(weight: Tensor<2>) -> Self {
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&weight) {
            return Self::AsStored(param(weight));
        }
        if weight.is_autodiff() {
            return Self::AsStored(param(weight)); // used once
        }
        let [output, input] = weight.dims();
        Self::Transposed(param(weight.transpose().reshape([input * output]).reshape([input, output])))
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::AsStored(weight) => weight.val().dims(),
            Self::Transposed(weight) => {
                let [input, output] = weight.val().dims();
                [output, input]
            }
            Self::Packed(packed) => packed.shape(),
        }
    }

    /// As numbers, `[in, out]`.
    pub fn transposed(&self) -> Tensor<2> {
        match self {
            Self::AsStored(weight) => weight.val().transpose(),
            Self::Transposed(weight) => weight.val(),
            Self::Packed(packed) => packed.unpack().transpose(),
        }
    }
}
