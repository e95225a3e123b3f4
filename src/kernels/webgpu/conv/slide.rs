//! A convolution whose invocations each slide the window over a few columns of a row, and read what they need themselves.

use super::super::launch::{Shader, unroll};
use super::{Window, head, tile_of};

const WORKGROUP: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slide {
    window: Window,
    /// Loads take four channels at once.
    vector: bool,
    /// Outputs of an invocation along a row, an even number.
    columns: usize,
    /// Channels of a tile.
    channels: usize,
    /// Invocations of a workgroup along channels.
    width: usize,
}

impl Slide {
    pub fn new(window: Window, vector: bool, columns: usize, outputs: usize) -> Self {
        let channels = tile_of(outputs);
        let width = outputs.div_ceil(channels).next_power_of_two().min(8);
        Self { window, vector, columns, channels, width }
    }

    /// Workgroups along channels and along cells of an output `[B, H, W, C]`.
    pub fn groups(&self, [b, rows, columns, outputs]: [usize; 4]) -> [usize; 2] {
        let tiles = b * rows * columns.div_ceil(self.columns);
        [outputs.div_ceil(self.channels * self.width), tiles.div_ceil(WORKGROUP / self.width)]
    }

    /// Of each weight along a row, the outputs of a tile that it serves and the columns that it meets there.
    fn taps(&self, weight: usize) -> Vec<(usize, usize)> {
        let Window { doubled, stride, .. } = self.window;
        (0..self.columns)
            .filter(|i| !doubled || weight / 2 == i % 2)
            .map(|i| (i, if doubled { (i + 1) / 2 + weight % 2 } else { i * stride + weight }))
            .collect()
    }

    /// Columns of the map that a tile meets.
    fn met(&self) -> usize {
        let Window { doubled, stride, side, .. } = self.window;
        if doubled { self.columns / 2 + 2 } else { (self.columns - 1) * stride + side }
    }
}

impl Shader for Slide {
    fn workgroup(&self) -> [u32; 3] {
        [self.width as u32, (WORKGROUP / self.width) as u32, 1]
    }

    fn source(&self) -> String {
        let Self { window, columns, channels, width, .. } = *self;
        let (element, product) = if self.vector { ("vec4<f32>", "dot") } else { ("f32", "product") };
        let (weights, met) = (window.weights(), self.met());
        // The first row and column of the map that a stop meets, plus those of zeros; and which of its rows of weights it takes.
        let (row, column, kind) = match window.doubled {
            true => ("(row + 1u) / 2u".into(), "first / 2u".into(), "(row & 1u) * 2u + k"),
            false => (format!("row * {}u", window.stride), format!("first * {}u", window.stride), "k"),
        };
        let (above, left) = (window.padding[0].0, window.padding[1].0);
        let block = weights * channels;
        format!(
            "{head}
fn product(a: f32, b: f32) -> f32 {{ return a * b; }}

@compute @workgroup_size({width}, {height})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let channel = id.x * {channels}u;
  let across = (p.columns + {last}u) / {columns}u;
  let tile = id.y + id.z * groups.y * {height}u;
  let first = tile % across * {columns}u;
  let line = tile / across; // of all images
  if (channel >= p.outputs || line >= p.images * p.rows) {{ return; }}
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
  let wide = min(p.columns - first, {columns}u);
  let deep = min(p.outputs - channel, {channels}u);
  for (var i = 0u; i < wide; i++) {{
    for (var j = 0u; j < deep; j++) {{ put(line * p.columns + first + i, channel + j, done[i * {channels}u + j]); }}
  }}
}}",
            head = head(element),
            height = WORKGROUP / width,
            last = columns - 1,
            reach = window.reach(),
            sums = columns * channels,
            column_at = unroll(met, |n| {
                format!(
                    "let real{n} = column + {n}u < p.width;
                     let x{n} = min(column + {n}u, p.width - 1u) * p.units;"
                )
            }),
            loads = unroll(met, |n| format!("let a{n} = select({element}(), x[line_at + x{n} + c], real{n});")),
            products = unroll(weights, |t| {
                let taps = self.taps(t);
                unroll(channels, |j| {
                    let sums = taps.iter().map(|(i, n)| format!("sum[{}] += {product}(a{n}, b);", i * channels + j));
                    format!("{{ let b = weight[at + {}u]; {} }}", t * channels + j, sums.collect::<Vec<_>>().join(" "))
                })
            }),
        )
    }
}
