//! Which tile a product with a matrix is timed and done in.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::gemm::Tile;
use super::linear::{Activation, Weight, linear_in};
use super::packed::Format;
use super::timings::{All, Class, Rounding, Timing};
use super::tune::{Contest, input};

/// Weights of a matrix for which the choice is worth its time.
const LARGE: usize = 1 << 20;
/// Up to so many rows are few.
const FEW: usize = 8;
/// Errors of the tiles, of the largest value, up to which they may be chosen: on the matrix at hand.
const EXACT_ERROR: f64 = 1e-4;
const HALF_ERROR: f64 = 2e-3;
const INT8_ERROR: f64 = 1e-2;

/// Products with matrices alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matrix {
    pub format: Format,
    /// `[out, in]`
    pub shape: [usize; 2],
    pub few: bool,
}

impl Matrix {
    pub fn new(format: Format, shape: [usize; 2], rows: usize) -> Self {
        Self { format, shape, few: rows <= FEW }
    }
}

impl Display for Matrix {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let Self { format, shape: [outputs, inputs], .. } = self;
        write!(f, "{} {outputs}x{inputs}", format.name())
    }
}

impl Class for Matrix {
    type Way = Tile;

    const KIND: &'static str = "products";

    fn usual(self) -> Tile {
        Tile::Direct
    }

    fn others(self, rounding: Rounding) -> Vec<Tile> {
        if self.few {
            return vec![Tile::Thin];
        }
        // Weights that bundles keep in f32 are meant to be exact.
        let half = rounding.half && self.format != Format::F32;
        let int8 = rounding.int8 && self.format.is_scaled();
        let rounding = [half.then_some(Tile::Half), int8.then_some(Tile::Int8)];
        core::iter::once(Tile::Shared).chain(rounding.into_iter().flatten()).collect()
    }

    /// Only on its own matrix is it known how far a tile that rounds is off.
    fn borrows(self, other: Self, way: Tile) -> bool {
        (self.format, self.few) == (other.format, other.few) && Tile::EXACT.contains(&way)
    }

    fn table(all: &mut All) -> &mut Vec<Timing<Self>> {
        &mut all.products
    }
}

/// A matrix with the rows that it is multiplied with.
#[derive(Debug, Clone)]
pub struct Product {
    pub weight: Weight,
    pub rows: usize,
}

impl Contest for Product {
    type Class = Matrix;
    type Input = Tensor<3>;

    fn class(&self) -> Matrix {
        Matrix::new(self.weight.format(), self.weight.shape(), self.rows)
    }

    fn matters(&self) -> bool {
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

    fn run(&self, way: Tile, x: &Tensor<3>) -> Tensor<3> {
        linear_in(Some(way), x.clone(), self.weight.clone(), None, Activation::None)
    }

    fn tolerance(&self, way: Tile) -> f64 {
        match way {
            Tile::Direct | Tile::Shared | Tile::Thin => EXACT_ERROR,
            Tile::Half => HALF_ERROR,
            Tile::Int8 => INT8_ERROR,
        }
    }
}
