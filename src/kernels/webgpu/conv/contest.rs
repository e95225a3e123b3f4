//! Which way a convolution is timed and done in.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Conv, FEW, Way};
use crate::kernels::webgpu::timings::{All, Class, Rounding, Timing};
use crate::kernels::webgpu::tune::{Contest, input};

/// Multiply-adds of a map for which the choice is worth its time.
const LARGE: usize = 1 << 28;
/// Error, of the largest value, up to which a way may be chosen.
const ERROR: f64 = 1e-4;

/// Convolutions alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maps {
    pub side: usize,
    pub stride: usize,
    pub doubled: bool,
    /// `[out, in]`
    pub channels: [usize; 2],
}

impl Maps {
    /// A workgroup's tile is of many channels, which it takes four at a time.
    fn can_share(self) -> bool {
        let [outputs, inputs] = self.channels;
        inputs.is_multiple_of(4) && outputs > FEW
    }
}

impl Display for Maps {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let Self { side, channels: [outputs, inputs], .. } = self;
        let how = match (self.doubled, self.stride) {
            (true, _) => ", doubled",
            (false, 2) => ", halving",
            _ => "",
        };
        write!(f, "convolution {side}x{side} {outputs}x{inputs}{how}")
    }
}

impl Class for Maps {
    type Way = Way;

    const KIND: &'static str = "convolutions";

    fn usual(self) -> Way {
        Way::Slide
    }

    fn others(self, _: Rounding) -> Vec<Way> {
        if self.can_share() { vec![Way::Narrow, Way::Shared] } else { vec![Way::Narrow] }
    }

    fn borrows(self, other: Self, way: Way) -> bool {
        self.doubled == other.doubled && (way != Way::Shared || self.can_share())
    }

    fn table(all: &mut All) -> &mut Vec<Timing<Self>> {
        &mut all.convolutions
    }
}

/// A convolution with the map that it goes over.
#[derive(Debug, Clone)]
pub struct Convolution {
    pub conv: Conv,
    /// Height and width of the map, before any doubling.
    pub side: usize,
}

impl Contest for Convolution {
    type Class = Maps;
    type Input = Tensor<4>;

    fn class(&self) -> Maps {
        self.conv.maps()
    }

    fn matters(&self) -> bool {
        let Maps { side, stride, doubled, channels: [outputs, inputs] } = self.conv.maps();
        let taps = if doubled { 4 * 2 * 2 } else { side * side };
        outputs * inputs * taps * (self.side / stride).pow(2) >= LARGE
    }

    /// Rows of the map.
    fn rows(&self) -> usize {
        self.side
    }

    fn input(&self, rows: usize, device: &Device) -> Tensor<4> {
        let [_, inputs] = self.conv.maps().channels;
        input([1, rows, self.side, inputs], device).permute([0, 3, 1, 2])
    }

    fn run(&self, way: Way, x: &Tensor<4>) -> Tensor<3> {
        self.conv.forward_in(way, x.clone(), None, false).permute([0, 2, 3, 1]).flatten(1, 2)
    }

    fn tolerance(&self, _: Way) -> f64 {
        ERROR
    }
}
