//! LayerNorm with its modulation, and RMSNorm: a row to an invocation, which needs no barrier.

use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Shader, lanes, launch};
use crate::kernels::norm::layer_norm;
use crate::kernels::{Row, Slots, gather};

const WORKGROUP: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Norm {
    /// Loads take four channels at once.
    vector: bool,
}

impl Shader for Norm {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (element, sum) = lanes(self.vector, "t");
        format!(
            "
// Rows of `width` elements, `image` of them to an image of x and `group` to one of y. Shift and scale are rows of tables.
struct P {{
  rows: u32, width: u32, channels: u32, eps: u32,
  group: u32, image: u32, slotted: u32,
  shift_image: u32, shift_at: u32, scale_image: u32, scale_at: u32,
}}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> shift: array<{element}>;
@group(0) @binding(2) var<storage, read> scale: array<{element}>;
@group(0) @binding(3) var<storage, read> slots: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<{element}>;
@group(0) @binding(5) var<uniform> p: P;

fn sum(t: {element}) -> f32 {{ return {sum}; }}

@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
  if (id.x >= p.rows) {{ return; }}
  let image = id.x / p.group;
  var token = id.x % p.group;
  if (p.slotted != 0u) {{ token = u32(slots[2u * id.x]); }}
  let from_row = (image * p.image + token) * p.width;
  let to_row = id.x * p.width;
  var total = {element}();
  for (var i = 0u; i < p.width; i++) {{ total += x[from_row + i]; }}
  let mean = {element}(sum(total) / f32(p.channels));
  var square = {element}();
  for (var i = 0u; i < p.width; i++) {{
    let t = x[from_row + i] - mean;
    square += t * t;
  }}
  let rstd = inverseSqrt(sum(square) / f32(p.channels) + bitcast<f32>(p.eps));
  let shift_row = image * p.shift_image + p.shift_at;
  let scale_row = image * p.scale_image + p.scale_at;
  for (var i = 0u; i < p.width; i++) {{
    y[to_row + i] = (x[from_row + i] - mean) * rstd * (scale[scale_row + i] + 1.0) + shift[shift_row + i];
  }}
}}"
        )
    }
}

/// `LN(x) (1 + scale) + shift` of `x` `[B, N, D]`, or of those of its tokens that are in `slots` `[B, k, 2]`.
pub fn modulated_norm(x: Tensor<3>, slots: Option<Slots>, shift: Row, scale: Row, eps: f64) -> Tensor<3> {
    let [b, n, d] = x.dims();
    let k = slots.as_ref().map_or(n, |slots| slots.dims()[1]);
    let vector = d.is_multiple_of(4);
    let width = if vector { d / 4 } else { d };
    let row = |row: Row| {
        let rows = row.table.dims()[1];
        (Buffer::packed(row.table), rows * width, row.row * width)
    };
    let (shift, shift_image, shift_at) = row(shift);
    let (scale, scale_image, scale_at) = row(scale);
    let x = Buffer::packed(x);
    let y = x.beside([b, k, d], DType::F32);
    let eps = (eps as f32).to_bits() as usize;
    let slotted = usize::from(slots.is_some());
    let slots = slots.map_or_else(|| x.clone(), Buffer::packed);
    let words = [b * k, width, d, eps, k, n, slotted, shift_image, shift_at, scale_image, scale_at];
    launch(Norm { vector }, &[&x, &shift, &scale, &slots], &[&y], &words, [(b * k).div_ceil(WORKGROUP), 1, 1]);
    y.float()
}

/// [`modulated_norm`] in plain tensor operations.
pub fn modulated_norm_reference(x: Tensor<3>, slots: Option<Slots>, shift: Row, scale: Row, eps: f64) -> Tensor<3> {
    let x = match slots {
        Some(slots) => gather(x, slots),
        None => x,
    };
    layer_norm(x, eps) * (scale.values() + 1.0) + shift.values()
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Rms {
    vector: bool,
}

impl Shader for Rms {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (element, sum) = lanes(self.vector, "square");
        format!(
            "
struct P {{ rows: u32, width: u32, channels: u32, eps: u32 }}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> weight: array<{element}>;
@group(0) @binding(2) var<storage, read_write> y: array<{element}>;
@group(0) @binding(3) var<uniform> p: P;

@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
  if (id.x >= p.rows) {{ return; }}
  let row = id.x * p.width;
  var square = {element}();
  for (var i = 0u; i < p.width; i++) {{ square += x[row + i] * x[row + i]; }}
  let scale = inverseSqrt({sum} / f32(p.channels) + bitcast<f32>(p.eps));
  for (var i = 0u; i < p.width; i++) {{ y[row + i] = x[row + i] * scale * weight[i]; }}
}}"
        )
    }
}

/// `weight · x / √(mean(x²) + eps)` of `x` `[B, N, D]`, `weight` `[D]`.
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let [b, n, d] = x.dims();
    let vector = d.is_multiple_of(4);
    let (x, weight) = (Buffer::packed(x), Buffer::packed(weight));
    let y = x.beside([b, n, d], DType::F32);
    let words = [b * n, if vector { d / 4 } else { d }, d, (eps as f32).to_bits() as usize];
    launch(Rms { vector }, &[&x, &weight], &[&y], &words, [(b * n).div_ceil(WORKGROUP), 1, 1]);
    y.float()
}
