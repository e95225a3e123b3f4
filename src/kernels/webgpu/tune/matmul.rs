//! Products with a model's matrices, to be timed.

use burn::tensor::{Device, Tensor};

use super::tuner::{Tunable, input};
use crate::kernels::activation::Activation;
use crate::kernels::webgpu::linear::{MatmulKey, format_of, linear_in};
use crate::kernels::weight::Weight;
use crate::kernels::wgsl::gemm::Tile;

/// Weights of a matrix for which the choice is worth its time.
const LARGE: usize = 1 << 20;
/// Errors of the tiles, of the largest value, up to which they may be chosen: on the matrix at hand.
const EXACT_ERROR: f64 = 1e-4;
const HALF_ERROR: f64 = 2e-3;
const INT8_ERROR: f64 = 1e-2;

/// A matrix with the rows that it is multiplied with.
#[derive(Debug)]
pub struct Product<'a> {
    pub weight: &'a Weight,
    pub rows: usize,
}

impl Tunable for Product<'_> {
    type Key = MatmulKey;
    type Input = Tensor<3>;

    fn key(&self) -> MatmulKey {
        MatmulKey::new(format_of(self.weight), self.weight.shape(), self.rows)
    }

    fn should_tune(&self) -> bool {
        let [outputs, inputs] = self.weight.shape();
        inputs * outputs >= LARGE && inputs.is_multiple_of(4)
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn input(&self, rows: usize, device: &Device) -> Tensor<3> {
        let [_, inputs] = self.weight.shape();
        input([1, rows, inputs], device)
    }

    fn run(&self, tile: Tile, x: &Tensor<3>) -> Tensor<3> {
        linear_in(Some(tile), x.clone(), self.weight, None, Activation::None)
    }

    fn tolerance(&self, tile: Tile) -> f64 {
        match tile {
            Tile::Direct | Tile::Shared | Tile::Thin => EXACT_ERROR,
            Tile::Half => HALF_ERROR,
            Tile::Int8 => INT8_ERROR,
        }
    }
}
