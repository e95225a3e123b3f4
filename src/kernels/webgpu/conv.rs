//! Convolution of feature maps with a square window, the doubling before it and the sum after it, in one kernel.
//!
//! Maps lie in memory as `[B, H, W, C]`, whatever their tensors say, so that the sum over channels is a matrix product's.

use burn::module::Module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Shader, launch, unroll};

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

    /// Cells of a map of `height × width` that it stops at.
    fn stops(self, [height, width]: [usize; 2]) -> [usize; 2] {
        let zoom = if self.doubled { 2 } else { 1 };
        let stops = |cells: usize, (before, after): (usize, usize)| {
            (cells * zoom + before + after).saturating_sub(self.side) / self.stride + 1
        };
        [stops(height, self.padding[0]), stops(width, self.padding[1])]
    }

    /// Weights of the window along one side, by what they multiply. Over a doubled map neighbouring weights of the three meet
    /// the same cell, before an even stop the last two and before an odd one the first two, and are added up beforehand.
    fn weights(self) -> usize {
        if self.doubled { 4 } else { self.side }
    }

    /// Of each weight along a row, the outputs of a tile that it serves and the columns that it meets there.
    fn taps(self, weight: usize) -> Vec<(usize, usize)> {
        (0..TILE)
            .filter(|i| !self.doubled || weight / 2 == i % 2)
            .map(|i| (i, if self.doubled { (i + 1) / 2 + weight % 2 } else { i * self.stride + weight }))
            .collect()
    }

    /// Columns of the map that a tile meets.
    fn columns(self) -> usize {
        if self.doubled { TILE / 2 + 2 } else { (TILE - 1) * self.stride + self.side }
    }
}

/// Outputs of an invocation along a row; as many channels, or [`FEW`] where there are no more.
const TILE: usize = 8;
const FEW: usize = 4;
const WORKGROUP: usize = 32;

mod flag {
    pub const BIAS: usize = 1;
    pub const ONTO: usize = 2;
    pub const RELU: usize = 4;
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slide {
    window: Window,
    /// Loads take four channels at once.
    vector: bool,
    /// Channels of a tile.
    channels: usize,
    /// Invocations of a workgroup along channels.
    width: usize,
}

impl Shader for Slide {
    fn workgroup(&self) -> [u32; 3] {
        [self.width as u32, (WORKGROUP / self.width) as u32, 1]
    }

    fn source(&self) -> String {
        let Self { window, channels, width, .. } = *self;
        let (element, product) = if self.vector { ("vec4<f32>", "dot") } else { ("f32", "product") };
        let (weights, columns) = (window.weights(), window.columns());
        // The first row and column of the map that a stop meets, plus those of zeros; how far the window reaches down; and which
        // of its rows of weights it takes there.
        let (row, column, reach, kind) = match window.doubled {
            true => ("(row + 1u) / 2u", "first / 2u".into(), 2, "(row & 1u) * 2u + k"),
            false => ("row * p.stride", format!("first * {}u", window.stride), window.side, "k"),
        };
        let (above, left) = (window.padding[0].0, window.padding[1].0);
        let block = weights * channels;
        format!(
            "
// Units of channels, rows and columns of x; channels, rows and columns of y; tiles of one of its rows and of all.
struct P {{
  units: u32, height: u32, width: u32,
  outputs: u32, rows: u32, columns: u32,
  across: u32, tiles: u32, stride: u32, flags: u32,
}}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> weight: array<{element}>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> onto: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: P;

fn on(flag: u32) -> bool {{ return (p.flags & flag) != 0u; }}
fn product(a: f32, b: f32) -> f32 {{ return a * b; }}

fn put(cell: u32, channel: u32, sum: f32) {{
  var v = sum;
  let at = cell * p.outputs + channel;
  if (on({BIAS}u)) {{ v += bias[channel]; }}
  if (on({ONTO}u)) {{ v += onto[at]; }}
  if (on({RELU}u)) {{ v = max(v, 0.0); }}
  y[at] = v;
}}

@compute @workgroup_size({width}, {height})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let channel = id.x * {channels}u;
  let tile = id.y + id.z * groups.y * {height}u;
  if (channel >= p.outputs || tile >= p.tiles) {{ return; }}
  let first = tile % p.across * {TILE}u;
  let line = tile / p.across; // of all images
  let row = line % p.rows;
  let image = line / p.rows * p.height;
  // Unsigned: what lies before the map is far behind it.
  let column = {column} - {left}u;
  {column_at}
  var sum: array<f32, {sums}>;
  for (var k = 0u; k < {reach}u; k++) {{
    let from_row = {row} + k - {above}u;
    if (from_row < p.height) {{
      let line_at = (image + from_row) * p.width * p.units;
      var at = (id.x * {weights}u + {kind}) * p.units * {block}u;
      for (var c = 0u; c < p.units; c++) {{
        {loads}
        {products}
        at += {block}u;
      }}
    }}
  }}
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  let wide = min(p.columns - first, {TILE}u);
  let deep = min(p.outputs - channel, {channels}u);
  for (var i = 0u; i < wide; i++) {{
    for (var j = 0u; j < deep; j++) {{ put(line * p.columns + first + i, channel + j, done[i * {channels}u + j]); }}
  }}
}}",
            BIAS = flag::BIAS,
            ONTO = flag::ONTO,
            RELU = flag::RELU,
            height = WORKGROUP / width,
            sums = TILE * channels,
            column_at = unroll(columns, |n| {
                format!(
                    "let real{n} = column + {n}u < p.width;
                     let x{n} = min(column + {n}u, p.width - 1u) * p.units;"
                )
            }),
            loads = unroll(columns, |n| format!("let a{n} = select({element}(), x[line_at + x{n} + c], real{n});")),
            products = unroll(weights, |t| {
                let taps = window.taps(t);
                unroll(channels, |j| {
                    let sums = taps.iter().map(|(i, n)| format!("sum[{}] += {product}(a{n}, b);", i * channels + j));
                    format!("{{ let b = weight[at + {}u]; {} }}", t * channels + j, sums.collect::<Vec<_>>().join(" "))
                })
            }),
        )
    }
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

    /// `[B, in, H, W]` to `[B, out, …]`; then plus `onto`, which is as large; then, where asked, no less than 0.
    pub fn forward(&self, x: Tensor<4>, onto: Option<Tensor<4>>, relu: bool) -> Tensor<4> {
        let Self { window, inputs, outputs, .. } = *self;
        let [b, _, height, width] = x.dims();
        let [rows, columns] = window.stops([height, width]);
        let channels = tile_of(outputs);
        let deep = outputs.div_ceil(channels);
        let vector = inputs.is_multiple_of(4);
        let shader = Slide { window, vector, channels, width: deep.next_power_of_two().min(8) };
        let x = Buffer::packed(channels_last(x));
        let y = x.beside([b, rows, columns, outputs], DType::F32);
        let flags = [(self.bias.is_some(), flag::BIAS), (onto.is_some(), flag::ONTO), (relu, flag::RELU)];
        let flags = flags.iter().map(|&(on, flag)| if on { flag } else { 0 }).sum();
        // What is absent is not read; some buffer must stand in for it.
        let bias = self.bias.clone().map_or_else(|| x.clone(), Buffer::packed);
        let onto = onto.map_or_else(|| x.clone(), |onto| Buffer::packed(channels_last(onto)));
        let across = columns.div_ceil(TILE);
        let tiles = b * rows * across;
        let units = if vector { inputs / 4 } else { inputs };
        let words = [units, height, width, outputs, rows, columns, across, tiles, window.stride, flags];
        let [wide, high, _] = shader.workgroup().map(|side| side as usize);
        // A dimension holds at most 65,535 workgroups.
        let down = tiles.div_ceil(high);
        let groups = [deep.div_ceil(wide), down.min(65_535), down.div_ceil(65_535)];
        launch(shader, &[&x, &Buffer::packed(self.weight.clone()), &bias, &onto], &[&y], &words, groups);
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
    let zoom = if window.doubled { 2 } else { 1 };
    let x = x.reshape([b, c, h, 1, w, 1]).expand([b, c, h, zoom, w, zoom]).reshape([b, c, h * zoom, w * zoom]);
    let options = ConvOptions::new_with_padding([window.stride; 2], window.padding, [1, 1], 1);
    let y = burn::tensor::module::conv2d(x, weight, bias, options);
    let y = match onto {
        Some(onto) => onto + y,
        None => y,
    };
    if relu { y.clamp_min(0.0) } else { y }
}
