//! A low-rank adapter (LoRA) of a linear layer, applied to what the layer reads.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::bundle::Scope;
use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::linear::linear;
use crate::kernels::weight::Weight;

/// `(x Aᵀ) Bᵀ`: two thin products, so that `B A` is never built.
#[derive(Module, Debug)]
pub struct Adapter {
    /// `[rank, in]`.
    a: Weight,
    /// `[out, rank]`.
    b: Weight,
}

impl Adapter {
    /// Takes `weight.lora_a` `[rank, input]` and `weight.lora_b` `[output, rank]`, where they are.
    ///
    /// # Errors
    /// `ModelInvalid` naming a factor that is missing or does not fit.
    pub fn load(scope: &mut Scope, input: usize, output: usize) -> Result<Option<Self>> {
        let (a, b) = ("weight.lora_a", "weight.lora_b");
        let Some(shape) = scope.shape(a) else { return Ok(None) };
        let &[rank, _] = &shape[..] else { return Err(Error::model(a, format!("its shape is {shape:?}"))) };
        let (a, b) = (scope.take(a, [rank, input])?, scope.take(b, [output, rank])?);
        Ok(Some(Self { a: Weight::new(a), b: Weight::new(b) }))
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let x = linear(x, &self.a, None, Activation::None); // [.., rank]
        linear(x, &self.b, None, Activation::None)
    }
}
