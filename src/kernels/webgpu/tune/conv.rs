//! The convolutions of an autoencoder, to be timed.

use burn::tensor::{Device, Tensor};

use super::tuner::{Tunable, input};
use crate::kernels::webgpu::conv::{ConvKey, TiledConv};
use crate::kernels::wgsl::conv::ConvVariant;

/// Multiply-adds of a map for which the choice is worth its time.
const LARGE: usize = 1 << 28;
/// Error, of the largest value, up to which a variant may be chosen.
const ERROR: f64 = 1e-4;

/// A convolution with the map that it goes over.
#[derive(Debug)]
pub struct Convolution<'a> {
    pub conv: &'a TiledConv,
    /// Height and width of the map, before any doubling.
    pub side: usize,
}

impl Tunable for Convolution<'_> {
    type Key = ConvKey;
    type Input = Tensor<4>;

    fn key(&self) -> ConvKey {
        self.conv.key()
    }

    fn should_tune(&self) -> bool {
        let ConvKey { side, stride, doubled, channels: [outputs, inputs] } = self.conv.key();
        let taps = if doubled { 4 * 2 * 2 } else { side * side };
        outputs * inputs * taps * (self.side / stride).pow(2) >= LARGE
    }

    /// Rows of the map.
    fn rows(&self) -> usize {
        self.side
    }

    fn input(&self, rows: usize, device: &Device) -> Tensor<4> {
        let [_, inputs] = self.conv.key().channels;
        input([1, rows, self.side, inputs], device).permute([0, 3, 1, 2])
    }

    fn run(&self, variant: ConvVariant, x: &Tensor<4>) -> Tensor<3> {
        self.conv.forward_in(variant, x.clone(), None, false).permute([0, 2, 3, 1]).flatten(1, 2)
    }

    fn tolerance(&self, _: ConvVariant) -> f64 {
        ERROR
    }
}
