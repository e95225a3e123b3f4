//! Shaders of a matrix product with what follows it: the same sums in tiles of several shapes, of which a device has its fastest.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::int8;
use super::launch::{Scalar, Shader, unroll};
use super::packed::Format;

/// How the sums are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tile {
    /// 8 × 8 to an invocation, which reads what it needs itself.
    Direct,
    /// 64 × 64 to a workgroup, which takes 16 inputs at a time into its own memory.
    Shared,
    /// As [`Tile::Shared`], products in f16, their sums in f32.
    Half,
    /// As [`Tile::Shared`], activations in 8 bits and integer sums inside a group of the weight, which must be packed in such.
    Int8,
    /// 4 × 4 to a workgroup, which shares out the inputs: for few rows.
    Thin,
}

impl Tile {
    /// Those that give f32's own rounding.
    pub const EXACT: [Self; 3] = [Self::Direct, Self::Shared, Self::Thin];

    /// Outputs and rows of a workgroup.
    pub(super) fn sides(self) -> [usize; 2] {
        match self {
            Self::Direct => [TILE * DIRECT[0], TILE * DIRECT[1]],
            Self::Shared | Self::Half | Self::Int8 => [SHARED, SHARED],
            Self::Thin => [THIN, THIN],
        }
    }
}

impl Display for Tile {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Shared => "shared",
            Self::Half => "half",
            Self::Int8 => "int8",
            Self::Thin => "thin",
        })
    }
}

/// Rows and outputs of an invocation's register tile.
const TILE: usize = 8;
/// Invocations of [`Tile::Direct`] along outputs and along rows.
const DIRECT: [usize; 2] = [8, 4];
/// Side of a workgroup's tile, and how many vectors of four inputs it takes at a time.
pub(super) const SHARED: usize = 64;
const DEEP: usize = 4;
/// Side of a workgroup's tile, and the invocations that share out its inputs.
const THIN: usize = 4;
const LANES: usize = 64;

/// What of the epilogue a launch asks for: bits of a word, so that one shader serves all.
pub(super) mod flag {
    pub const BIAS: usize = 1;
    pub const GELU: usize = 2;
    pub const SILU: usize = 4;
    pub const GATE: usize = 8;
    pub const RESIDUAL: usize = 16;
    pub const FROM: usize = 32;
    pub const INTO: usize = 64;
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Gemm {
    pub weight: Format,
    /// Loads take four inputs at once, which needs rows of a multiple of four; only f32 weights can do without, and only
    /// [`Tile::Direct`].
    pub vector: bool,
    pub tile: Tile,
    /// Of x and of y.
    pub scalars: [Scalar; 2],
}

impl Shader for Gemm {
    fn workgroup(&self) -> [u32; 3] {
        match self.tile {
            Tile::Direct => [DIRECT[0] as u32, DIRECT[1] as u32, 1],
            Tile::Shared | Tile::Half => [(SHARED / TILE) as u32, (SHARED / TILE) as u32, 1],
            Tile::Int8 => int8::WORKGROUP,
            Tile::Thin => [LANES as u32, 1, 1],
        }
    }

    fn source(&self) -> String {
        let format = self.weight;
        let [x_scalar, y_scalar] = self.scalars;
        let (element, unit) = match self.tile {
            Tile::Int8 => int8::elements(format),
            _ if self.vector => (x_scalar.lanes(4), format.unit()),
            _ => (x_scalar.lanes(1), "f32"),
        };
        let scaled = format.is_scaled();
        let y = if scaled { 7 } else { 6 };
        let [width, height, _] = self.workgroup();
        let [outputs, rows] = self.tile.sides();
        format!(
            "
{enable}
// Rows of an image: those of x, of `onto` (0 where one serves all images) and of y. A row of the weight is `groups` of `group` units.
struct P {{
  rows: u32, groups: u32, group: u32, outputs: u32,
  flags: u32, image: u32, onto_image: u32, y_image: u32,
  gate_image: u32, gate_at: u32,
}}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> weight: array<{unit}>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> gate: array<f32>;
@group(0) @binding(4) var<storage, read> onto: array<f32>;
// Of each row the token it stands for, and its weight.
@group(0) @binding(5) var<storage, read> slots: array<f32>;
{scales_binding}
@group(0) @binding({y}) var<storage, read_write> y: array<{y_scalar}>;
@group(0) @binding({uniform}) var<uniform> p: P;
{functions}

fn on(flag: u32) -> bool {{ return (p.flags & flag) != 0u; }}

fn put(row: u32, col: u32, sum: f32) {{
  let image = row / p.image;
  let token = row % p.image;
  var v = sum;
  var from_token = token;
  var to_token = token;
  if (on({BIAS}u)) {{ v += bias[col]; }}
  // As v / (1 + exp(-2u)): tanh overflows to NaN on some adapters.
  if (on({GELU}u)) {{ v = v / (1.0 + exp(min(80.0, v * (-1.5957691216 - 0.0713548162726 * v * v)))); }}
  if (on({SILU}u)) {{ v = v / (1.0 + exp(min(80.0, -v))); }}
  if (on({GATE}u)) {{ v *= gate[image * p.gate_image + p.gate_at + col]; }}
  if (on({FROM}u)) {{ from_token = u32(slots[2u * row]); }}
  if (on({INTO}u)) {{
    to_token = u32(slots[2u * row]);
    v *= slots[2u * row + 1u];
  }}
  if (on({RESIDUAL}u)) {{ v += onto[(image * p.onto_image + from_token) * p.outputs + col]; }}
  y[(image * p.y_image + to_token) * p.outputs + col] = {stored};
}}
{memory}

@compute @workgroup_size({width}, {height})
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {{
  let first_col = group.x * {outputs}u;
  let first_row = (group.y + group.z * groups.y) * {rows}u;
  {body}
}}",
            enable = if self.tile == Tile::Half { Scalar::F16.enable() } else { Scalar::enable_any(&self.scalars) },
            stored = y_scalar.stored(1, "v"),
            BIAS = flag::BIAS,
            GELU = flag::GELU,
            SILU = flag::SILU,
            GATE = flag::GATE,
            RESIDUAL = flag::RESIDUAL,
            FROM = flag::FROM,
            INTO = flag::INTO,
            uniform = y + 1,
            scales_binding =
                if scaled { "@group(0) @binding(6) var<storage, read> scales: array<u32>;" } else { "" },
            functions = format.functions(),
            memory = self.memory(),
            body = match self.tile {
                Tile::Direct => self.direct(),
                Tile::Shared | Tile::Half => self.shared(),
                Tile::Int8 => int8::body(format),
                Tile::Thin => self.thin(),
            },
        )
    }
}

impl Gemm {
    fn memory(&self) -> String {
        let value = if self.tile == Tile::Half { "vec4<f16>" } else { "vec4<f32>" };
        match self.tile {
            Tile::Direct => String::new(),
            // A row more than there is, so that neighbours write to different banks.
            Tile::Shared | Tile::Half => format!(
                "var<workgroup> xs: array<{value}, {count}>;
                 var<workgroup> ws: array<{value}, {count}>;",
                count = DEEP * (SHARED + 1)
            ),
            Tile::Int8 => int8::memory(),
            Tile::Thin => format!("var<workgroup> parts: array<f32, {}>;", THIN * THIN * LANES),
        }
    }

    fn direct(&self) -> String {
        let (format, vectors, scaled) = (self.weight, self.weight.vectors(), self.weight.is_scaled());
        let product = |i: usize| if self.vector { format!("dot(a{i}, b)") } else { format!("a{i} * b") };
        let lanes = Scalar::F32.lanes(if self.vector { 4 } else { 1 });
        let sums = |j: usize| unroll(TILE, |i| format!("sum[{}] += {};", i * TILE + j, product(i)));
        format!(
            "
  let col = first_col + at.x * {TILE}u;
  let row = first_row + at.y * {TILE}u;
  if (row >= p.rows || col >= p.outputs) {{ return; }}
  {a_rows}
  {b_rows}
  var sum: array<f32, {count}>;
  for (var g = 0u; g < p.groups; g++) {{
    {scales}
    for (var k = g * p.group; k < (g + 1u) * p.group; k++) {{
      {units}
      {products}
    }}
  }}
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  let height = min(p.rows - row, {TILE}u);
  let width = min(p.outputs - col, {TILE}u);
  for (var i = 0u; i < height; i++) {{
    for (var j = 0u; j < width; j++) {{ put(row + i, col + j, done[i * {TILE}u + j]); }}
  }}",
            count = TILE * TILE,
            a_rows = unroll(TILE, |i| {
                format!("let a_row{i} = min(row + {i}u, p.rows - 1u) * p.groups * p.group * {vectors}u;")
            }),
            b_rows = unroll(TILE, |j| format!("let b_row{j} = min(col + {j}u, p.outputs - 1u) * p.groups;")),
            scales = unroll(if scaled { TILE } else { 0 }, |j| format!("let s{j} = scale(b_row{j} + g);")),
            units = unroll(TILE, |j| format!("let w{j} = weight[b_row{j} * p.group + k];")),
            products = unroll(vectors, |v| {
                let a = unroll(TILE, |i| format!("let a{i} = {lanes}(x[a_row{i} + k * {vectors}u + {v}u]);"));
                let b = |j: usize| format.vector(&format!("w{j}"), v, &format!("s{j}"));
                let columns = unroll(TILE, |j| format!("{{ let b = {}; {} }}", b(j), sums(j)));
                format!("{{ {a} {columns} }}")
            }),
        )
    }

    /// Rows and outputs of an invocation lie [`TILE`] apart, so that neighbours read neighbours from the workgroup's memory.
    fn shared(&self) -> String {
        let (format, vectors) = (self.weight, self.weight.vectors());
        let half = self.tile == Tile::Half;
        let from_x = match (half, self.scalars[0]) {
            (true, Scalar::F32) => Scalar::F16.stored(4, "v"),
            (true, Scalar::F16) => "v".into(),
            (false, _) => "vec4<f32>(v)".into(),
        };
        let from_w = |v: usize| {
            let value = format.vector("w", v, "s");
            if half { format!("vec4<f16>({value})") } else { value }
        };
        let product = |i: usize| if half { format!("f32(dot(a{i}, b))") } else { format!("dot(a{i}, b)") };
        let (pitch, sides, units) = (SHARED + 1, SHARED / TILE, DEEP / vectors);
        let (invocations, element) = (sides * sides, self.scalars[0].lanes(4));
        format!(
            "
  let units = p.groups * p.group;
  let depth = units * {vectors}u;
  var sum: array<f32, {count}>;
  for (var k = 0u; k < depth; k += {DEEP}u) {{
    {x_loads}
    {w_loads}
    workgroupBarrier();
    for (var q = 0u; q < {DEEP}u; q++) {{
      {a}
      {products}
    }}
    workgroupBarrier();
  }}
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  for (var i = 0u; i < {TILE}u; i++) {{
    let row = first_row + at.y + i * {sides}u;
    for (var j = 0u; j < {TILE}u; j++) {{
      let col = first_col + at.x + j * {sides}u;
      if (row < p.rows && col < p.outputs) {{ put(row, col, done[i * {TILE}u + j]); }}
    }}
  }}",
            count = TILE * TILE,
            x_loads = unroll(SHARED * DEEP / invocations, |n| {
                format!(
                    "{{
                       let i = me + {}u;
                       let row = min(first_row + i / {DEEP}u, p.rows - 1u);
                       let q = k + i % {DEEP}u;
                       let v = select({element}(), x[row * depth + min(q, depth - 1u)], q < depth);
                       xs[i % {DEEP}u * {pitch}u + i / {DEEP}u] = {from_x};
                     }}",
                    n * invocations
                )
            }),
            // What a weight beyond the last is taken for does not matter: the row's value there is 0.
            w_loads = unroll(SHARED * units / invocations, |n| {
                let puts = unroll(vectors, |v| {
                    format!("ws[(i % {units}u * {vectors}u + {v}u) * {pitch}u + i / {units}u] = {};", from_w(v))
                });
                let scale = if format.is_scaled() { "let s = scale(col * p.groups + u / p.group);" } else { "" };
                format!(
                    "{{
                       let i = me + {}u;
                       let col = min(first_col + i / {units}u, p.outputs - 1u);
                       let u = min(k / {vectors}u + i % {units}u, units - 1u);
                       let w = weight[col * units + u];
                       {scale}
                       {puts}
                     }}",
                    n * invocations
                )
            }),
            a = unroll(TILE, |i| format!("let a{i} = xs[q * {pitch}u + at.y + {}u];", i * sides)),
            products = unroll(TILE, |j| {
                let sums = unroll(TILE, |i| format!("sum[{}] += {};", i * TILE + j, product(i)));
                format!("{{ let b = ws[q * {pitch}u + at.x + {}u]; {sums} }}", j * sides)
            }),
        )
    }

    fn thin(&self) -> String {
        let (format, vectors, scaled) = (self.weight, self.weight.vectors(), self.weight.is_scaled());
        let count = THIN * THIN;
        format!(
            "
  let units = p.groups * p.group;
  {a_rows}
  {b_rows}
  var sum: array<f32, {count}>;
  for (var k = me; k < units; k += {LANES}u) {{
    {scales}
    {units}
    {products}
  }}
  {parts}
  workgroupBarrier();
  let row = first_row + me / {THIN}u;
  let col = first_col + me % {THIN}u;
  if (me < {count}u && row < p.rows && col < p.outputs) {{
    var total = 0.0;
    for (var i = 0u; i < {LANES}u; i++) {{ total += parts[i * {count}u + me]; }}
    put(row, col, total);
  }}",
            a_rows =
                unroll(THIN, |i| format!("let a_row{i} = min(first_row + {i}u, p.rows - 1u) * units * {vectors}u;")),
            b_rows = unroll(THIN, |j| format!("let b_row{j} = min(first_col + {j}u, p.outputs - 1u);")),
            scales = unroll(if scaled { THIN } else { 0 }, |j| {
                format!("let s{j} = scale(b_row{j} * p.groups + k / p.group);")
            }),
            units = unroll(THIN, |j| format!("let w{j} = weight[b_row{j} * units + k];")),
            products = unroll(vectors, |v| {
                let a = unroll(THIN, |i| format!("let a{i} = vec4<f32>(x[a_row{i} + k * {vectors}u + {v}u]);"));
                let columns = unroll(THIN, |j| {
                    let b = format.vector(&format!("w{j}"), v, &format!("s{j}"));
                    let sums = unroll(THIN, |i| format!("sum[{}] += dot(a{i}, b);", i * THIN + j));
                    format!("{{ let b = {b}; {sums} }}")
                });
                format!("{{ {a} {columns} }}")
            }),
            parts = unroll(count, |n| format!("parts[me * {count}u + {n}u] = sum[{n}];")),
        )
    }
}
