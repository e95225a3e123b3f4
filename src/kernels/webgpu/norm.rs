//! LayerNorm with its modulation, and RMSNorm.

use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Scalar, Shader, lanes, launch};
use super::rows::{Share, Width};
use super::timings::chosen;
use crate::kernels::norm::layer_norm;
use crate::kernels::{Row, Slots, gather};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Norm {
    /// Loads take four channels at once.
    vector: bool,
    share: Share,
    y: Scalar,
}

impl Shader for Norm {
    fn workgroup(&self) -> [u32; 3] {
        [self.share.workgroup() as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (element, sum) = lanes(self.vector, "t");
        let count = if self.vector { 4 } else { 1 };
        format!(
            "
{enable}
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
@group(0) @binding(4) var<storage, read_write> y: array<{y}>;
@group(0) @binding(5) var<uniform> p: P;

fn sum(t: {element}) -> f32 {{ return {sum}; }}
{over_row}
{opening}
  let image = row / p.group;
  var token = row % p.group;
  if (p.slotted != 0u) {{ token = u32(slots[2u * row]); }}
  let from_row = (image * p.image + token) * p.width;
  let to_row = row * p.width;
  var total = {element}();
  for (var i = first; i < p.width; i += stride) {{ total += x[from_row + i]; }}
  let mean = {element}(over_row(sum(total), me) / f32(p.channels));
  var square = {element}();
  for (var i = first; i < p.width; i += stride) {{
    let t = x[from_row + i] - mean;
    square += t * t;
  }}
  let rstd = inverseSqrt(over_row(sum(square), me) / f32(p.channels) + bitcast<f32>(p.eps));
  let shift_row = image * p.shift_image + p.shift_at;
  let scale_row = image * p.scale_image + p.scale_at;
  for (var i = first; i < p.width; i += stride) {{
    let t = (x[from_row + i] - mean) * rstd * (scale[scale_row + i] + 1.0) + shift[shift_row + i];
    y[to_row + i] = {stored};
  }}
}}",
            enable = self.y.enable(),
            y = self.y.lanes(count),
            over_row = self.share.sum(),
            opening = self.share.opening(),
            stored = self.y.stored(count, "t"),
        )
    }
}

/// `LN(x) (1 + scale) + shift` of `x` `[B, N, D]`, or of those of its tokens that are in `slots` `[B, k, 2]`, stored as `y`.
pub fn modulated_norm(x: Tensor<3>, slots: Option<Slots>, shift: Row, scale: Row, eps: f64, y: DType) -> Tensor<3> {
    let share = chosen(Width { width: x.dims()[2] });
    modulated_norm_in(share, x, slots, shift, scale, eps, y)
}

/// [`modulated_norm`] with its rows shared out in the given way.
pub(super) fn modulated_norm_in(
    share: Share,
    x: Tensor<3>,
    slots: Option<Slots>,
    shift: Row,
    scale: Row,
    eps: f64,
    y: DType,
) -> Tensor<3> {
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
    let shader = Norm { vector, share, y: Scalar::of(y) };
    let y = x.beside([b, k, d], y);
    let eps = (eps as f32).to_bits() as usize;
    let slotted = usize::from(slots.is_some());
    let slots = slots.map_or_else(|| x.clone(), Buffer::packed);
    let words = [b * k, width, d, eps, k, n, slotted, shift_image, shift_at, scale_image, scale_at];
    launch(shader, &[&x, &shift, &scale, &slots], &[&y], &words, share.groups(b * k));
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
    share: Share,
}

impl Shader for Rms {
    fn workgroup(&self) -> [u32; 3] {
        [self.share.workgroup() as u32, 1, 1]
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
{over_row}
{opening}
  let start = row * p.width;
  var square = {element}();
  for (var i = first; i < p.width; i += stride) {{ square += x[start + i] * x[start + i]; }}
  let scale = inverseSqrt(over_row({sum}, me) / f32(p.channels) + bitcast<f32>(p.eps));
  for (var i = first; i < p.width; i += stride) {{ y[start + i] = x[start + i] * scale * weight[i]; }}
}}",
            over_row = self.share.sum(),
            opening = self.share.opening(),
        )
    }
}

/// `weight · x / √(mean(x²) + eps)` of `x` `[B, N, D]`, `weight` `[D]`.
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let share = chosen(Width { width: x.dims()[2] });
    rms_norm_in(share, x, weight, eps)
}

/// [`rms_norm`] with its rows shared out in the given way.
pub(super) fn rms_norm_in(share: Share, x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let [b, n, d] = x.dims();
    let vector = d.is_multiple_of(4);
    let (x, weight) = (Buffer::packed(x), Buffer::packed(weight));
    let y = x.beside([b, n, d], DType::F32);
    let words = [b * n, if vector { d / 4 } else { d }, d, (eps as f32).to_bits() as usize];
    launch(Rms { vector, share }, &[&x, &weight], &[&y], &words, share.groups(b * n));
    y.float()
}
