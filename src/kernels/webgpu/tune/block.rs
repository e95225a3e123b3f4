//! A block in f32 and in f16, to be timed.

use burn::tensor::{DType, Device, Tensor};

use super::tuner::{Tunable, input};
use crate::kernels::webgpu::cast::BlockKey;
use crate::kernels::wgsl::Scalar;

/// Weights of a block's largest matrix from which the choice is worth its time.
const LARGE: usize = 1 << 20;
/// Error of a block, of the largest value, up to which f16 may be chosen.
const ERROR: f64 = 2e-3;

/// A block that can be tried.
pub struct BlockTunable<'a> {
    pub width: usize,
    /// Tokens of an image.
    pub tokens: usize,
    /// Tokens `[1, N, D]` after the block, where it hands on values of that type.
    pub run: Box<dyn Fn(Tensor<3>, DType) -> Tensor<3> + 'a>,
}

impl Tunable for BlockTunable<'_> {
    type Key = BlockKey;
    type Input = Tensor<3>;

    fn key(&self) -> BlockKey {
        BlockKey { width: self.width }
    }

    fn should_tune(&self) -> bool {
        4 * self.width * self.width >= LARGE
    }

    fn rows(&self) -> usize {
        self.tokens
    }

    fn input(&self, rows: usize, device: &Device) -> Tensor<3> {
        input([1, rows, self.width], device)
    }

    fn run(&self, dtype: Scalar, x: &Tensor<3>) -> Tensor<3> {
        (self.run)(x.clone(), dtype.dtype())
    }

    fn tolerance(&self, _: Scalar) -> f64 {
        ERROR
    }
}
