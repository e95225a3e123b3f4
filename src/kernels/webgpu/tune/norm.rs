//! The norms of a block, to be timed.

use burn::tensor::{DType, Device, Tensor};

use super::tuner::{Tunable, input};
use crate::kernels::norm::ModulatedNorm;
use crate::kernels::residual::ModulationRow;
use crate::kernels::webgpu::norm::{NormKey, modulated_norm_in};
use crate::kernels::wgsl::row_reduction::RowReduction;

/// Values of all rows for which the choice is worth its time.
const LARGE: usize = 1 << 20;
/// Error, of the largest value, up to which a variant may be chosen.
const ERROR: f64 = 1e-4;

/// The norms of a block.
#[derive(Debug, Clone, Copy)]
pub struct Norms {
    pub width: usize,
    pub rows: usize,
}

impl Tunable for Norms {
    type Key = NormKey;
    /// And the table of shift and scale.
    type Input = [Tensor<3>; 2];

    fn key(&self) -> NormKey {
        NormKey { width: self.width }
    }

    fn should_tune(&self) -> bool {
        self.width * self.rows >= LARGE
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn input(&self, rows: usize, device: &Device) -> Self::Input {
        [rows, 2].map(|rows| input([1, rows, self.width], device))
    }

    fn run(&self, reduction: RowReduction, [x, table]: &Self::Input) -> Tensor<3> {
        let [shift, scale] = [0, 1].map(|row| ModulationRow { table: table.clone(), row });
        let norm = ModulatedNorm { x: x.clone(), selected: None, shift, scale, eps: 1e-6, dtype: DType::F32 };
        modulated_norm_in(reduction, norm)
    }

    fn tolerance(&self, _: RowReduction) -> f64 {
        ERROR
    }
}
