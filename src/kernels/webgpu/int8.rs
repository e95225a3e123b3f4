//! Products of activations in 8 bits with packed weights: how the activations are quantized, and the tile that multiplies them.

use burn::tensor::DType;

use super::gemm::SHARED;
use super::launch::{Buffer, Scalar, Shader, launch, unroll};
use super::packed::Format;

/// Inputs that are loaded at once: two words of four. A unit of [`Format::Q4`] gives its even ones, then its odd ones.
pub(super) const UNIT: usize = 8;
/// Units of a row that a workgroup takes at a time.
const DEEP: usize = 4;
/// Outputs and rows of an invocation: half of what [`super::gemm::Tile::Shared`] has, for each has two sums.
const TILE: [usize; 2] = [4, 8];
const SIDES: [usize; 2] = [SHARED / TILE[0], SHARED / TILE[1]];
const INVOCATIONS: usize = SIDES[0] * SIDES[1];
pub(super) const WORKGROUP: [u32; 3] = [SIDES[0] as u32, SIDES[1] as u32, 1];
/// A row more than there is, so that neighbours write to different banks.
const PITCH: usize = SHARED + 1;

/// WGSL's types of a unit of activations and of what is loaded of a weight for it.
pub(super) fn elements(weight: Format) -> (&'static str, &'static str) {
    ("vec2<u32>", if weight == Format::Q4 { "u32" } else { "vec2<u32>" })
}

pub(super) fn memory() -> String {
    format!(
        "var<workgroup> xs: array<vec2<u32>, {count}>;
         var<workgroup> ws: array<vec2<u32>, {count}>;
         // Of this group and of the one before it, which some invocations may still read.
         var<workgroup> x_scales: array<f32, {scales}>;
         var<workgroup> w_scales: array<f32, {scales}>;",
        count = DEEP * PITCH,
        scales = 2 * SHARED,
    )
}

/// Rows and outputs of an invocation lie apart, as in [`super::gemm::Tile::Shared`].
pub(super) fn body(weight: Format) -> String {
    let [outputs, rows] = TILE;
    let [width, height] = SIDES;
    let count = outputs * rows;
    // A nibble that is a byte's upper half stands for 16 times itself, sign included.
    let (unit, scale) = match weight {
        Format::Q4 => ("vec2<u32>(w << 4u, w) & vec2<u32>(0xf0f0f0f0u)", "0.0625 * scale"),
        _ => ("w", "scale"),
    };
    let loads = |line: &dyn Fn(usize) -> String| unroll(SHARED * DEEP / INVOCATIONS, |n| line(n * INVOCATIONS));
    format!(
        "
  let units = p.groups * p.group;
  // The scales of a row, two to an element, lie behind it.
  let pitch = units + (p.groups + 1u) / 2u;
  var sum: array<f32, {count}>;
  for (var g = 0u; g < p.groups; g++) {{
    // Without a value it would be cleared once and not at every turn, as Chrome has it.
    var part = array<i32, {count}>();
    let at_scales = (g & 1u) * {SHARED}u;
    for (var k = 0u; k < p.group; k += {DEEP}u) {{
      {x_loads}
      {w_loads}
      if (k == 0u && me < {SHARED}u) {{
        let pair = x[min(first_row + me, p.rows - 1u) * pitch + units + g / 2u];
        x_scales[at_scales + me] = bitcast<f32>(select(pair.x, pair.y, (g & 1u) == 1u));
        w_scales[at_scales + me] = {scale}(min(first_col + me, p.outputs - 1u) * p.groups + g);
      }}
      workgroupBarrier();
      for (var q = 0u; q < {DEEP}u; q++) {{
        {a}
        {products}
      }}
      workgroupBarrier();
    }}
    {x_factors}
    {sums}
  }}
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  for (var i = 0u; i < {rows}u; i++) {{
    let row = first_row + at.y + i * {height}u;
    for (var j = 0u; j < {outputs}u; j++) {{
      let col = first_col + at.x + j * {width}u;
      if (row < p.rows && col < p.outputs) {{ put(row, col, done[i * {outputs}u + j]); }}
    }}
  }}",
        x_loads = loads(&|n| format!(
            "{{
               let i = me + {n}u;
               let row = min(first_row + i / {DEEP}u, p.rows - 1u);
               let q = k + i % {DEEP}u;
               let v = x[row * pitch + g * p.group + min(q, p.group - 1u)];
               xs[i % {DEEP}u * {PITCH}u + i / {DEEP}u] = select(vec2<u32>(), v, q < p.group);
             }}"
        )),
        // What a weight beyond the group is taken for does not matter: the row's value there is 0.
        w_loads = loads(&|n| format!(
            "{{
               let i = me + {n}u;
               let col = min(first_col + i / {DEEP}u, p.outputs - 1u);
               let w = weight[col * units + g * p.group + min(k + i % {DEEP}u, p.group - 1u)];
               ws[i % {DEEP}u * {PITCH}u + i / {DEEP}u] = {unit};
             }}"
        )),
        a = unroll(rows, |i| format!("let a{i} = xs[q * {PITCH}u + at.y + {}u];", i * height)),
        products = unroll(outputs, |j| {
            let product = |i: usize| format!("dot4I8Packed(a{i}.x, b.x) + dot4I8Packed(a{i}.y, b.y)");
            let sums = unroll(rows, |i| format!("part[{}] += {};", i * outputs + j, product(i)));
            format!("{{ let b = ws[q * {PITCH}u + at.x + {}u]; {sums} }}", j * width)
        }),
        x_factors = unroll(rows, |i| format!("let f{i} = x_scales[at_scales + at.y + {}u];", i * height)),
        sums = unroll(outputs, |j| {
            let sums = unroll(rows, |i| format!("sum[{n}] += f32(part[{n}]) * (f{i} * s);", n = i * outputs + j));
            format!("{{ let s = w_scales[at_scales + at.x + {}u]; {sums} }}", j * width)
        }),
    )
}

/// `x` `[rows, in]` in 8 bits as the tile reads it next to a weight of that format: a row of words, then an f32 for each group of the
/// row, its largest value over 127.
pub(super) fn quantize(x: &Buffer, weight: Format, [rows, inputs]: [usize; 2], group: usize) -> Buffer {
    let groups = inputs / group;
    let y = x.beside([rows, pitch(inputs, group)], DType::I32);
    let workgroups = (rows * groups).div_ceil(QUANTIZE);
    let words = [rows * groups, groups, group / UNIT];
    launch(
        Quantize { weight, x: x.scalar() },
        &[x],
        &[&y],
        &words,
        [workgroups.min(65_535), workgroups.div_ceil(65_535), 1],
    );
    y
}

/// Words of a quantized row.
fn pitch(inputs: usize, group: usize) -> usize {
    inputs / 4 + (inputs / group).next_multiple_of(2)
}

/// Invocations of a workgroup, each with a group of a row.
const QUANTIZE: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Quantize {
    weight: Format,
    x: Scalar,
}

impl Shader for Quantize {
    fn workgroup(&self) -> [u32; 3] {
        [QUANTIZE as u32, 1, 1]
    }

    fn source(&self) -> String {
        let [first, second] = match self.weight {
            Format::Q4 => ["vec4<f32>(a.xz, b.xz)", "vec4<f32>(a.yw, b.yw)"],
            _ => ["a", "b"],
        };
        format!(
            "
{enable}
// Groups of all rows and of one, and units of a group.
struct P {{ count: u32, groups: u32, group: u32 }}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: P;

fn word(v: vec4<f32>) -> u32 {{ return pack4xI8(vec4<i32>(round(v))); }}

@compute @workgroup_size({QUANTIZE})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let i = id.x + id.y * groups.x * {QUANTIZE}u;
  if (i >= p.count) {{ return; }}
  let x_at = i * p.group * 2u;
  var most = vec4<f32>(1e-30);
  for (var k = 0u; k < p.group * 2u; k++) {{ most = max(most, abs(vec4<f32>(x[x_at + k]))); }}
  let scale = max(max(most.x, most.y), max(most.z, most.w)) / 127.0;
  let inverse = 1.0 / scale;
  let units = p.groups * p.group;
  let row = i / p.groups * 2u * (units + (p.groups + 1u) / 2u);
  let group = i % p.groups;
  for (var k = 0u; k < p.group; k++) {{
    let a = vec4<f32>(x[x_at + 2u * k]) * inverse;
    let b = vec4<f32>(x[x_at + 2u * k + 1u]) * inverse;
    let at = row + 2u * (group * p.group + k);
    y[at] = word({first});
    y[at + 1u] = word({second});
  }}
  y[row + 2u * units + group] = bitcast<u32>(scale);
}}",
            enable = self.x.enable(),
            element = self.x.lanes(4),
        )
    }
}

/// What the `words` of [`quantize`] stand for, each value with its scale.
pub(super) fn dequantized(words: &[u32], weight: Format, inputs: usize, group: usize) -> Vec<(f32, f32)> {
    let value = |row: &[u32], i: usize| {
        let (unit, place) = (i / UNIT, i % UNIT);
        let (word, byte) = if weight == Format::Q4 { (place % 2, place / 2) } else { (place / 4, place % 4) };
        let scale = f32::from_bits(row[inputs / 4 + i / group]);
        (f32::from((row[2 * unit + word] >> (8 * byte)) as i8) * scale, scale)
    };
    words.chunks_exact(pitch(inputs, group)).flat_map(|row| (0..inputs).map(move |i| value(row, i))).collect()
}
