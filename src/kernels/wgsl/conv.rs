//! Shaders of a convolution of feature maps with a square window, the doubling before it and the sum after it.
//!
//! Maps lie in memory as `[B, H, W, C]`, so that the sum over channels is a matrix product's.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::Shader;
use super::template::Template;

/// How the sums are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConvVariant {
    /// 8 columns × 8 channels to an invocation, which reads what it needs itself.
    Slide,
    /// As [`ConvVariant::Slide`], of 4 columns.
    Narrow,
    /// 64 cells × 64 channels to a workgroup, which takes 16 channels of a weight at a time into its own memory.
    Shared,
}

impl Display for ConvVariant {
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
    pub fn zoom(self) -> usize {
        if self.doubled { 2 } else { 1 }
    }

    /// Cells of a map of `height × width` that it stops at.
    pub fn stops(self, [height, width]: [usize; 2]) -> [usize; 2] {
        let stops = |cells: usize, (before, after): (usize, usize)| {
            (cells * self.zoom() + before + after).saturating_sub(self.side) / self.stride + 1
        };
        [stops(height, self.padding[0]), stops(width, self.padding[1])]
    }

    /// Weights of the window along one side, by what they multiply. Over a doubled map neighbouring weights of the three meet
    /// the same cell, before an even stop the last two and before an odd one the first two, and are added up beforehand.
    pub fn weights(self) -> usize {
        self.zoom() * self.reach()
    }

    /// Cells of the map that it meets along one side at a stop.
    fn reach(self) -> usize {
        if self.doubled { 2 } else { self.side }
    }
}

/// Channels of a tile of the weight, or [`FEW`] where there are no more.
pub const TILE: usize = 8;
pub const FEW: usize = 4;

/// Channels of the input that a load takes at once.
pub const UNIT: usize = 4;
/// Values of a weight from which on it stays in f16 where it is stored so: a smaller one is not worth unpacking at every load.
const LEAST_HALF: usize = 1 << 18;

/// Whether a weight `[out, in, side, side]` can stay in f16.
pub fn half_fits([outputs, inputs, height, width]: [usize; 4]) -> bool {
    outputs.is_multiple_of(TILE) && inputs.is_multiple_of(UNIT) && height == width
}

/// Whether it can, and is large enough to.
pub fn half_pays(shape: [usize; 4]) -> bool {
    half_fits(shape) && shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side)).is_none_or(|n| n >= LEAST_HALF)
}

pub fn tile_of(outputs: usize) -> usize {
    if outputs > FEW { TILE } else { FEW }
}

pub mod flag {
    pub const BIAS: usize = 1;
    pub const ONTO: usize = 2;
    pub const RELU: usize = 4;
}

/// What the shaders have in common: what they get, of which loads take an `element`, and where their sums go. Of weights in f16 (`half`)
/// four are two words.
fn template(file: &str, window: Window, element: &str, half: bool) -> Template {
    Template::new(&[include_str!("conv.wgsl"), file])
        .constant("BIAS", flag::BIAS)
        .constant("ONTO", flag::ONTO)
        .constant("RELU", flag::RELU)
        .constant("ZOOM", window.zoom())
        .constant("REACH", window.reach())
        .constant("WEIGHTS", window.weights())
        .constant("STRIDE", window.stride)
        .constant("ABOVE", window.padding[0].0)
        .constant("LEFT", window.padding[1].0)
        .set("element", element)
        .set("stored", if half { "vec2<u32>" } else { element })
        .when("half", half)
}

/// Side of a workgroup's tile, and how many vectors of four channels it takes at a time, of one weight of the window.
const SIDE: usize = 64;
const DEEP: usize = 4;
/// Invocations along a side of the tile; of all of them, each loads so many vectors of x and of the weight.
const SIDES: usize = SIDE / TILE;
const LOADS: usize = SIDE * DEEP / (SIDES * SIDES);

/// A convolution as a matrix product: the cells and the channels of a workgroup's tile share what it takes into its own memory.
///
/// Of channels in multiples of four, and weights in tiles of eight.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SharedConvShader {
    pub window: Window,
    /// Whether weights are of f16.
    pub half: bool,
}

impl SharedConvShader {
    /// Workgroups along channels and along cells of an output `[B, H, W, C]`.
    pub fn groups(&self, [b, rows, columns, outputs]: [usize; 4]) -> [usize; 2] {
        let zoom = self.window.zoom();
        let cells = b * (rows / zoom) * (columns / zoom);
        [outputs.div_ceil(SIDE), zoom * zoom * cells.div_ceil(SIDE)]
    }
}

impl Shader for SharedConvShader {
    fn workgroup(&self) -> [u32; 3] {
        [SIDES as u32, SIDES as u32, 1]
    }

    fn source(&self) -> String {
        // A row more than there is, so that neighbours write to different banks.
        let pitch = SIDE + 1;
        template(include_str!("conv_shared.wgsl"), self.window, "vec4<f32>", self.half)
            .constant("TILE", TILE)
            .constant("SIDE", SIDE)
            .constant("SIDES", SIDES)
            .constant("DEEP", DEEP)
            .constant("LOADS", LOADS)
            .constant("PITCH", pitch)
            .set("sides", SIDES)
            .set("sums", TILE * TILE)
            .set("memory", DEEP * pitch)
            .render()
    }
}

const WORKGROUP: usize = 32;

/// A convolution whose invocations each slide the window over a few columns of a row, and read what they need themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SlidingConvShader {
    pub window: Window,
    /// Loads take four channels at once.
    pub vector: bool,
    /// Whether weights are of f16, four channels at once.
    pub half: bool,
    /// Outputs of an invocation along a row, an even number.
    pub columns: usize,
    /// Channels of a tile.
    pub channels: usize,
    /// Invocations of a workgroup along channels.
    pub width: usize,
}

impl SlidingConvShader {
    pub fn new(window: Window, vector: bool, columns: usize, outputs: usize) -> Self {
        let channels = tile_of(outputs);
        let width = outputs.div_ceil(channels).next_power_of_two().min(8);
        Self { window, vector, half: false, columns, channels, width }
    }

    /// With weights of f16, where `half`.
    pub fn with_half(self, half: bool) -> Self {
        Self { half: half && self.vector, ..self }
    }

    /// Workgroups along channels and along cells of an output `[B, H, W, C]`.
    pub fn groups(&self, [b, rows, columns, outputs]: [usize; 4]) -> [usize; 2] {
        let tiles = b * rows * columns.div_ceil(self.columns);
        [outputs.div_ceil(self.channels * self.width), tiles.div_ceil(WORKGROUP / self.width)]
    }

    /// Of each weight along a row, the outputs of a tile that it serves and the columns that it meets there.
    fn taps(&self, weight: usize) -> impl Iterator<Item = (usize, usize)> {
        let Window { doubled, stride, .. } = self.window;
        (0..self.columns)
            .filter(move |i| !doubled || weight / 2 == i % 2)
            .map(move |i| (i, if doubled { i.div_ceil(2) + weight % 2 } else { i * stride + weight }))
    }

    /// Columns of the map that a tile meets.
    fn met(&self) -> usize {
        let Window { doubled, stride, side, .. } = self.window;
        if doubled { self.columns / 2 + 2 } else { (self.columns - 1) * stride + side }
    }
}

impl Shader for SlidingConvShader {
    fn workgroup(&self) -> [u32; 3] {
        [self.width as u32, (WORKGROUP / self.width) as u32, 1]
    }

    fn source(&self) -> String {
        let (element, product) = if self.vector { ("vec4<f32>", "dot") } else { ("f32", "product") };
        let mut template = template(include_str!("conv_slide.wgsl"), self.window, element, self.half)
            .constant("COLUMNS", self.columns)
            .constant("CHANNELS", self.channels)
            .constant("DOWN", WORKGROUP / self.width)
            .constant("MET", self.met())
            .set("width", self.width)
            .set("height", WORKGROUP / self.width)
            .set("sums", self.columns * self.channels)
            .when("doubled", self.window.doubled);
        // What each weight of a row is added to differs: no loop of the template says it.
        for t in 0..self.window.weights() {
            for j in 0..self.channels {
                let sums = self.taps(t).map(|(i, n)| format!("sum[{}] += {product}(a{n}, b);", i * self.channels + j));
                template = template.set(&format!("sums{t}_{j}"), sums.collect::<Vec<_>>().join(" "));
            }
        }
        template.render()
    }
}
