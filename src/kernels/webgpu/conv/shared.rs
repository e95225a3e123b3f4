//! A convolution as a matrix product: the cells and the channels of a workgroup's tile share what it takes into its own memory.

use super::super::launch::{Shader, unroll};
use super::{TILE, Window, head};

/// Side of a workgroup's tile, and how many vectors of four channels it takes at a time, of one weight of the window.
const SIDE: usize = 64;
const DEEP: usize = 4;
/// Invocations along a side of the tile; of all of them, each loads so many vectors of x and of the weight.
const SIDES: usize = SIDE / TILE;
const LOADS: usize = SIDE * DEEP / (SIDES * SIDES);

/// Of channels in multiples of four, and weights in tiles of [`TILE`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shared {
    pub window: Window,
}

impl Shared {
    /// Workgroups along channels and along cells of an output `[B, H, W, C]`.
    pub fn groups(&self, [b, rows, columns, outputs]: [usize; 4]) -> [usize; 2] {
        let zoom = self.window.zoom();
        let cells = b * (rows / zoom) * (columns / zoom);
        [outputs.div_ceil(SIDE), zoom * zoom * cells.div_ceil(SIDE)]
    }
}

impl Shader for Shared {
    fn workgroup(&self) -> [u32; 3] {
        [SIDES as u32, SIDES as u32, 1]
    }

    /// Cells and channels of an invocation lie [`SIDES`] apart, so that neighbours read neighbours from the workgroup's memory.
    fn source(&self) -> String {
        let window = self.window;
        let (zoom, reach, weights) = (window.zoom(), window.reach(), window.weights());
        let (above, left) = (window.padding[0].0, window.padding[1].0);
        // A row more than there is, so that neighbours write to different banks.
        let pitch = SIDE + 1;
        format!(
            "{head}
var<workgroup> xs: array<vec4<f32>, {memory}>;
var<workgroup> ws: array<vec4<f32>, {memory}>;

@compute @workgroup_size({SIDES}, {SIDES})
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {{
  // Over a doubled map, stops of even rows and columns meet other weights than odd ones: a tile is of one kind.
  let tile = group.y + group.z * groups.y;
  let odd = vec2<u32>(tile / {zoom}u, tile) % {zoom}u;
  let first = tile / {kinds}u * {SIDE}u;
  let rows = p.rows / {zoom}u;
  let columns = p.columns / {zoom}u;
  let cells = p.images * rows * columns;
  // What this invocation loads: of some cells one vector of channels, and of some tiles of weights, too.
  let xq = me % {DEEP}u;
  let wq = me / {TILE}u % {DEEP}u;
  {cells_at}
  {tiles_at}
  var sum: array<f32, {sums}>;
  for (var k = 0u; k < {taps}u; k++) {{
    let tap = vec2<u32>(k / {reach}u, k % {reach}u);
    let kind = odd * {reach}u + tap;
    {x_at}
    for (var c = 0u; c < p.units; c += {DEEP}u) {{
      {x_loads}
      // What a weight beyond the last is taken for does not matter: the cells' values there are 0.
      let w_at = ((kind.x * p.units + min(c + wq, p.units - 1u)) * {weights}u + kind.y) * {TILE}u;
      {w_loads}
      workgroupBarrier();
      for (var q = 0u; q < {DEEP}u; q++) {{
        {a}
        {products}
      }}
      workgroupBarrier();
    }}
  }}
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  for (var i = 0u; i < {TILE}u; i++) {{
    let cell = first + at.y + i * {SIDES}u;
    let row = cell / columns * {zoom}u + odd.x; // of all images
    let column = cell % columns * {zoom}u + odd.y;
    for (var j = 0u; j < {TILE}u; j++) {{
      let channel = group.x * {SIDE}u + at.x + j * {SIDES}u;
      if (cell < cells && channel < p.outputs) {{ put(row * p.columns + column, channel, done[i * {TILE}u + j]); }}
    }}
  }}
}}",
            head = head("vec4<f32>"),
            memory = DEEP * pitch,
            kinds = zoom * zoom,
            taps = reach * reach,
            sums = TILE * TILE,
            // Unsigned: what lies before the map is far behind it. So is, from the start, what lies behind the last cell.
            cells_at = unroll(LOADS, |n| {
                format!(
                    "let cell{n} = first + me / {DEEP}u + {apart}u;
                     let image{n} = cell{n} / columns / rows * p.height;
                     let row{n} = select(p.height, cell{n} / columns % rows * {stride}u + odd.x - {above}u, cell{n} < cells);
                     let column{n} = cell{n} % columns * {stride}u + odd.y - {left}u;",
                    apart = n * SIDE / LOADS,
                    stride = window.stride,
                )
            }),
            tiles_at = unroll(LOADS, |n| {
                format!(
                    "let tile{n} = min(group.x * {SIDES}u + me / {each}u + {apart}u, (p.outputs - 1u) / {TILE}u);
                     let w{n} = tile{n} * p.units * {block}u + me % {TILE}u;",
                    each = TILE * DEEP,
                    apart = n * SIDES / LOADS,
                    block = weights * weights * TILE,
                )
            }),
            x_at = unroll(LOADS, |n| {
                format!(
                    "let real{n} = row{n} + tap.x < p.height && column{n} + tap.y < p.width;
                     let x{n} = select(0u, ((image{n} + row{n} + tap.x) * p.width + column{n} + tap.y) * p.units, real{n});"
                )
            }),
            x_loads = unroll(LOADS, |n| {
                format!(
                    "xs[xq * {pitch}u + me / {DEEP}u + {apart}u] =
                       select(vec4<f32>(), x[x{n} + min(c + xq, p.units - 1u)], real{n} && c + xq < p.units);",
                    apart = n * SIDE / LOADS,
                )
            }),
            w_loads = unroll(LOADS, |n| {
                format!(
                    "ws[wq * {pitch}u + me / {each}u * {TILE}u + me % {TILE}u + {apart}u] = weight[w{n} + w_at];",
                    each = TILE * DEEP,
                    apart = n * SIDE / LOADS,
                )
            }),
            a = unroll(TILE, |i| format!("let a{i} = xs[q * {pitch}u + at.y + {}u];", i * SIDES)),
            products = unroll(TILE, |j| {
                let sums = unroll(TILE, |i| format!("sum[{}] += dot(a{i}, b);", i * TILE + j));
                format!("{{ let b = ws[q * {pitch}u + at.x + {}u]; {sums} }}", j * SIDES)
            }),
        )
    }
}
