//! Convolution of feature maps with a square window, the doubling before it and the sum after it, in one kernel.
//!
//! Maps lie in memory as `[B, H, W, C]`, whatever their tensors say, so that the sum over channels is a matrix product's.

mod contest;
mod shared;
mod slide;

use core::fmt::{self, Display, Formatter};

use burn::module::Module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

pub use self::contest::Convolution;
pub(super) use self::contest::Maps;
use self::shared::Shared;
use self::slide::Slide;
use super::launch::{Buffer, launch};
use super::timings::{Class, Rounding, chosen};

/// How the sums are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// 8 columns × 8 channels to an invocation, which reads what it needs itself.
    Slide,
    /// As [`Way::Slide`], of 4 columns.
    Narrow,
    /// 64 cells × 64 channels to a workgroup, which takes 16 channels of a weight at a time into its own memory.
    Shared,
}

impl Display for Way {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Slide => "slide",
            Self::Narrow => "narrow",
            Self::Shared => "shared",
        })
    }
}

/// How the window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its side.
    pub side: usize,
    pub stride: usize,
    /// Zeros before and after, for height and for width.
    pub padding: [(usize, usize); 2],
    /// Over a map of which every cell counts as 2 × 2; see [`Window::doubles`].
    pub doubled: bool,
}

impl Window {
    /// Whether such a window can be [`Window::doubled`].
    pub fn doubles(self) -> bool {
        (self.side, self.stride, self.padding) == (3, 1, [(1, 1); 2])
    }

    /// Cells of a side that a cell of the map counts as.
    fn zoom(self) -> usize {
        if self.doubled { 2 } else { 1 }
    }

    /// Cells of a map of `height × width` that it stops at.
    pub(super) fn stops(self, [height, width]: [usize; 2]) -> [usize; 2] {
        let stops = |cells: usize, (before, after): (usize, usize)| {
            (cells * self.zoom() + before + after).saturating_sub(self.side) / self.stride + 1
        };
        [stops(height, self.padding[0]), stops(width, self.padding[1])]
    }

    /// Weights of the window along one side, by what they multiply. Over a doubled map neighbouring weights of the three meet
    /// the same cell, before an even stop the last two and before an odd one the first two, and are added up beforehand.
    fn weights(self) -> usize {
        self.zoom() * self.reach()
    }

    /// Cells of the map that it meets along one side at a stop.
    fn reach(self) -> usize {
        if self.doubled { 2 } else { self.side }
    }
}

/// Channels of a tile of the weight, or [`FEW`] where there are no more.
const TILE: usize = 8;
const FEW: usize = 4;

mod flag {
    pub const BIAS: usize = 1;
    pub const ONTO: usize = 2;
    pub const RELU: usize = 4;
}

/// How every shader starts: what it gets, of which loads take an `element`, and where its sums go.
fn head(element: &str) -> String {
    format!(
        "
// Units of channels, rows and columns of x; channels, rows and columns of y.
struct P {{
  units: u32, height: u32, width: u32,
  outputs: u32, rows: u32, columns: u32,
  images: u32, flags: u32,
}}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> weight: array<{element}>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> onto: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: P;

fn on(flag: u32) -> bool {{ return (p.flags & flag) != 0u; }}

fn put(cell: u32, channel: u32, sum: f32) {{
  var v = sum;
  let at = cell * p.outputs + channel;
  if (on({BIAS}u)) {{ v += bias[channel]; }}
  if (on({ONTO}u)) {{ v += onto[at]; }}
  if (on({RELU}u)) {{ v = max(v, 0.0); }}
  y[at] = v;
}}
",
        BIAS = flag::BIAS,
        ONTO = flag::ONTO,
        RELU = flag::RELU,
    )
}

/// A convolution whose weights lie as the kernel reads them.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[out / tile, weights along a column, in / unit, weights along a row, tile, unit]`, flat.
    weight: Tensor<1>,
    /// `[out]`
    bias: Option<Tensor<1>>,
    #[module(skip)]
    window: Window,
    inputs: usize,
    outputs: usize,
}

impl Conv {
    /// From a weight `[out, in, side, side]` and a bias `[out]`.
    pub fn new(weight: Tensor<4>, bias: Option<Tensor<1>>, window: Window) -> Self {
        let [outputs, inputs, ..] = weight.dims();
        let (tile, unit) = (tile_of(outputs), if inputs.is_multiple_of(4) { 4 } else { 1 });
        let weight = if window.doubled { merged(merged(weight, 2), 3) } else { weight };
        let (tiles, along) = (outputs.div_ceil(tile), window.weights());
        let weight = if outputs.is_multiple_of(tile) {
            weight
        } else {
            let missing = Tensor::zeros([tiles * tile - outputs, inputs, along, along], &weight.device());
            Tensor::cat(vec![weight, missing], 0)
        };
        let weight = weight
            .reshape([tiles, tile, inputs / unit, unit, along, along])
            .permute([0, 4, 2, 5, 1, 3])
            .reshape([tiles * tile * inputs * along * along]);
        Self { weight, bias, window, inputs, outputs }
    }

    pub(super) fn maps(&self) -> Maps {
        let Self { window: Window { side, stride, doubled, .. }, inputs, outputs, .. } = *self;
        Maps { side, stride, doubled, channels: [outputs, inputs] }
    }

    /// The ways that it can go.
    pub(super) fn ways(&self) -> Vec<Way> {
        let maps = self.maps();
        core::iter::once(maps.usual()).chain(maps.others(Rounding::NONE)).collect()
    }

    /// `[B, in, H, W]` to `[B, out, …]`; then plus `onto`, which is as large; then, where asked, no less than 0.
    pub fn forward(&self, x: Tensor<4>, onto: Option<Tensor<4>>, relu: bool) -> Tensor<4> {
        self.forward_in(chosen(self.maps()), x, onto, relu)
    }

    /// [`Conv::forward`] in one of its [`Conv::ways`].
    pub(super) fn forward_in(&self, way: Way, x: Tensor<4>, onto: Option<Tensor<4>>, relu: bool) -> Tensor<4> {
        let Self { window, inputs, outputs, .. } = *self;
        let [b, _, height, width] = x.dims();
        let [rows, columns] = window.stops([height, width]);
        let vector = inputs.is_multiple_of(4);
        let x = Buffer::packed(channels_last(x));
        let shape = [b, rows, columns, outputs];
        let y = x.beside(shape, DType::F32);
        let flags = [(self.bias.is_some(), flag::BIAS), (onto.is_some(), flag::ONTO), (relu, flag::RELU)];
        let flags = flags.iter().map(|&(on, flag)| if on { flag } else { 0 }).sum();
        // What is absent is not read; some buffer must stand in for it.
        let bias = self.bias.clone().map_or_else(|| x.clone(), Buffer::packed);
        let onto = onto.map_or_else(|| x.clone(), |onto| Buffer::packed(channels_last(onto)));
        let units = if vector { inputs / 4 } else { inputs };
        let words = [units, height, width, outputs, rows, columns, b, flags];
        let inputs = [&x, &Buffer::packed(self.weight.clone()), &bias, &onto];
        // A dimension holds at most 65,535 workgroups.
        let folded = |[wide, down]: [usize; 2]| [wide, down.min(65_535), down.div_ceil(65_535)];
        let slide = |columns| {
            let shader = Slide::new(window, vector, columns, outputs);
            let groups = folded(shader.groups(shape));
            launch(shader, &inputs, &[&y], &words, groups);
        };
        match way {
            Way::Slide => slide(8),
            Way::Narrow => slide(4),
            Way::Shared => {
                let shader = Shared { window };
                let groups = folded(shader.groups(shape));
                launch(shader, &inputs, &[&y], &words, groups);
            }
        }
        channels_first(y.float())
    }
}

fn tile_of(outputs: usize) -> usize {
    if outputs > FEW { TILE } else { FEW }
}

/// Three weights along `dim` as those that meet the cells of a doubled map: `w0, w1 + w2` before even stops, `w0 + w1, w2` before
/// odd ones.
fn merged(weight: Tensor<4>, dim: usize) -> Tensor<4> {
    let at = |i| weight.clone().narrow(dim, i, 1);
    Tensor::cat(vec![at(0), at(1) + at(2), at(0) + at(1), at(2)], dim)
}

/// `[B, C, H, W]` as `[B, H, W, C]`.
pub(super) fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[B, H, W, C]` as `[B, C, H, W]`.
pub(super) fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// [`Conv::forward`] in plain tensor operations.
pub fn conv_reference(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    window: Window,
    onto: Option<Tensor<4>>,
    relu: bool,
) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let zoom = window.zoom();
    let x = x.reshape([b, c, h, 1, w, 1]).expand([b, c, h, zoom, w, zoom]).reshape([b, c, h * zoom, w * zoom]);
    let options = ConvOptions::new_with_padding([window.stride; 2], window.padding, [1, 1], 1);
    let y = burn::tensor::module::conv2d(x, weight, bias, options);
    let y = match onto {
        Some(onto) => onto + y,
        None => y,
    };
    if relu { y.clamp_min(0.0) } else { y }
}
