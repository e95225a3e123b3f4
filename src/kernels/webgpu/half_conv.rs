//! Weights of convolutions that stay in f16 on the GPU, as bundles store them, in the order that the kernels read.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::launch::Buffer;
use super::packed::PackedMatrix;
use super::runs::is_on;
use crate::kernels::packed::PackedWords;
use crate::kernels::wgsl::conv::{TILE, UNIT, half_fits, half_pays};
use crate::kernels::wgsl::format::Format;

/// A weight `[out, in, side, side]`.
#[derive(Module, Debug)]
pub struct HalfConv {
    /// `[out / tile · side · in / unit · side, tile · unit]`.
    tiles: PackedMatrix,
    #[module(skip)]
    shape: [usize; 4],
}

impl HalfConv {
    /// Whether a weight of `shape` can stay in f16 on `device`, and is large enough to.
    pub fn is_supported(shape: [usize; 4], device: &Device) -> bool {
        is_on(device) && half_pays(shape)
    }

    /// From f16 bits, row-major; none where [`half_fits`] says no.
    pub fn upload(shape: [usize; 4], bits: &[u16], device: &Device) -> Option<Self> {
        let [outputs, inputs, side, _] = shape;
        if !half_fits(shape) || bits.len() != shape.iter().product::<usize>() {
            return None;
        }
        let mut words = Vec::with_capacity(bits.len() / 2);
        for tile in 0..outputs / TILE {
            for down in 0..side {
                for unit in 0..inputs / UNIT {
                    for across in 0..side {
                        for output in 0..TILE {
                            let at = |input: usize| {
                                let channel = (tile * TILE + output) * inputs + unit * UNIT + input;
                                u32::from(bits[(channel * side + down) * side + across])
                            };
                            words.extend([at(0) | at(1) << 16, at(2) | at(3) << 16]);
                        }
                    }
                }
            }
        }
        let rows = [bits.len() / (TILE * UNIT), TILE * UNIT];
        let words = PackedWords { format: Format::F16, shape: rows, group: rows[1], words, scales: vec![] };
        Some(Self { tiles: PackedMatrix::upload(words, device)?, shape })
    }

    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// As the kernel reads it.
    pub fn words(&self) -> Buffer {
        self.tiles.operand().weight
    }

    /// As plain numbers, `[out, in, side, side]`.
    pub fn unpack(&self) -> Tensor<4> {
        let [outputs, inputs, side, _] = self.shape;
        let tiles = self.tiles.unpack().reshape([outputs / TILE, side, inputs / UNIT, side, TILE, UNIT]);
        tiles.permute([0, 4, 2, 5, 1, 3]).reshape(self.shape)
    }
}
