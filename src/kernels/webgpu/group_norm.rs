//! Group normalization of feature maps, with the SiLU that follows it: moments of pieces, moments of groups, then the values.

use burn::tensor::{DType, Tensor};

use super::conv::{channels_first, channels_last};
use super::launch::{Buffer, Shader, lanes, launch};

const WORKGROUP: usize = 64;
/// Pieces that a map is cut into, at most, and pixels of one, at least.
const PIECES: usize = 256;
const PIXELS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// Mean and sum of squared deviations of every group in every piece: groups are neighbours, so that loads are, too.
    Pieces,
    /// Mean and reciprocal of the deviation of every group.
    Groups,
    /// Every value.
    Values,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Norm {
    stage: Stage,
    /// Loads take four channels at once.
    vector: bool,
}

impl Shader for Norm {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (element, sum) = lanes(self.vector, "t");
        let first = if self.vector { ".x" } else { "" };
        let (bindings, body) = match self.stage {
            Stage::Pieces => (
                format!(
                    "@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> p: P;"
                ),
                format!(
                    "
  let group = i % p.groups;
  let piece = i / p.groups % p.pieces;
  let image = i / p.groups / p.pieces;
  let start = piece * p.piece;
  let end = min(start + p.piece, p.pixels);
  let base = image * p.pixels * p.units + group * p.group;
  // Deviations from a value of the piece itself: their squares cancel little.
  let about = x[base + start * p.units]{first};
  var total = {element}();
  var square = {element}();
  for (var n = start; n < end; n++) {{
    for (var c = 0u; c < p.group; c++) {{
      let t = x[base + n * p.units + c] - about;
      total += t;
      square += t * t;
    }}
  }}
  let mean = sum(total) / f32((end - start) * p.channels);
  y[i] = vec2<f32>(about + mean, sum(square) - sum(total) * mean);"
                ),
            ),
            Stage::Groups => (
                "@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> p: P;"
                    .into(),
                "
  let base = i / p.groups * p.pieces * p.groups + i % p.groups;
  let about = x[base].x;
  var mean = 0.0;
  for (var n = 0u; n < p.pieces; n++) { mean += (x[base + n * p.groups].x - about) * size(n); }
  mean = about + mean / f32(p.pixels);
  var square = 0.0;
  for (var n = 0u; n < p.pieces; n++) {
    let t = x[base + n * p.groups];
    let shift = t.x - mean;
    square += t.y / f32(p.channels) + shift * shift * size(n);
  }
  y[i] = vec2<f32>(mean, inverseSqrt(square / f32(p.pixels) + bitcast<f32>(p.eps)));"
                    .into(),
            ),
            Stage::Values => (
                format!(
                    "@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> moments: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<{element}>;
@group(0) @binding(3) var<storage, read> bias: array<{element}>;
@group(0) @binding(4) var<storage, read_write> y: array<{element}>;
@group(0) @binding(5) var<uniform> p: P;"
                ),
                "
  let c = i % p.units;
  let m = moments[i / (p.pixels * p.units) * p.groups + c / p.group];
  var v = (x[i] - m.x) * m.y * weight[c] + bias[c];
  if (p.silu != 0u) { v = v / (1.0 + exp(min(T(80.0), -v))); }
  y[i] = v;"
                    .replace("T(", &format!("{element}(")),
            ),
        };
        format!(
            "
// Units of channels of a pixel and of a group, and the group's channels; pixels of a map and of a piece.
struct P {{
  units: u32, groups: u32, group: u32, channels: u32,
  pixels: u32, piece: u32, pieces: u32, count: u32,
  eps: u32, silu: u32,
}}
{bindings}

fn sum(t: {element}) -> f32 {{ return {sum}; }}
// Pixels of piece n.
fn size(n: u32) -> f32 {{ return f32(min(p.piece, p.pixels - n * p.piece)); }}

@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let i = id.x + id.y * groups.x * {WORKGROUP}u;
  if (i >= p.count) {{ return; }}
  {body}
}}"
        )
    }
}

/// `(x - mean) / √(var + eps) · weight + bias` of `x` `[B, C, H, W]`, mean and (biased) variance over each of `groups` groups of
/// channels and all pixels; then, where asked, SiLU. `weight` and `bias` are `[C]`.
pub fn group_norm(x: Tensor<4>, groups: usize, weight: Tensor<1>, bias: Tensor<1>, eps: f64, silu: bool) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let (pixels, channels) = (h * w, c / groups);
    let piece = pixels.div_ceil((pixels / PIXELS).clamp(1, PIECES));
    let pieces = pixels.div_ceil(piece);
    let vector = channels.is_multiple_of(4);
    let unit = if vector { 4 } else { 1 };
    let x = Buffer::packed(channels_last(x));
    let (weight, bias) = (Buffer::packed(weight), Buffer::packed(bias));
    let parts = x.beside([b, pieces, groups, 2], DType::F32);
    let moments = x.beside([b, groups, 2], DType::F32);
    let y = x.beside([b, h, w, c], DType::F32);
    let run = |stage, inputs: &[&Buffer], y: &Buffer, count: usize| {
        let eps = (eps as f32).to_bits() as usize;
        let words = [c / unit, groups, channels / unit, channels, pixels, piece, pieces, count, eps, usize::from(silu)];
        let wide = count.div_ceil(WORKGROUP);
        launch(Norm { stage, vector }, inputs, &[y], &words, [wide.min(65_535), wide.div_ceil(65_535), 1]);
    };
    run(Stage::Pieces, &[&x], &parts, b * pieces * groups);
    run(Stage::Groups, &[&parts], &moments, b * groups);
    run(Stage::Values, &[&x, &moments, &weight, &bias], &y, b * pixels * c / unit);
    channels_first(y.float())
}

/// [`group_norm`] in plain tensor operations.
pub fn group_norm_reference(
    x: Tensor<4>,
    groups: usize,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
    silu: bool,
) -> Tensor<4> {
    let x = crate::kernels::norm::group_norm(x, groups, weight, bias, eps);
    if silu { burn::tensor::activation::silu(x) } else { x }
}
