//! LayerNorm with its modulation in one kernel: a row to an invocation, which needs no barrier.

use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Shader, launch};

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
        let (element, sum) = if self.vector { ("vec4<f32>", "dot(t, vec4<f32>(1.0))") } else { ("f32", "t") };
        format!(
            "
// Rows of `width` elements, `group` of which share a shift and a scale.
struct P {{ rows: u32, width: u32, group: u32, channels: u32, shift: u32, scale: u32, eps: u32 }}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> shift: array<{element}>;
@group(0) @binding(2) var<storage, read> scale: array<{element}>;
@group(0) @binding(3) var<storage, read_write> y: array<{element}>;
@group(0) @binding(4) var<uniform> p: P;

fn sum(t: {element}) -> f32 {{ return {sum}; }}

@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
  if (id.x >= p.rows) {{ return; }}
  let row = id.x * p.width;
  var total = {element}();
  for (var i = 0u; i < p.width; i++) {{ total += x[row + i]; }}
  let mean = {element}(sum(total) / f32(p.channels));
  var square = {element}();
  for (var i = 0u; i < p.width; i++) {{
    let t = x[row + i] - mean;
    square += t * t;
  }}
  let rstd = inverseSqrt(sum(square) / f32(p.channels) + bitcast<f32>(p.eps));
  let image = id.x / p.group;
  let shift_at = image * p.shift;
  let scale_at = image * p.scale;
  for (var i = 0u; i < p.width; i++) {{
    y[row + i] = (x[row + i] - mean) * rstd * (scale[scale_at + i] + 1.0) + shift[shift_at + i];
  }}
}}"
        )
    }
}

/// `LN(x) (1 + scale) + shift`: `x` `[B, N, D]`, `shift` and `scale` `[B, 1, D]`.
pub fn modulated_norm(x: Tensor<3>, shift: Tensor<3>, scale: Tensor<3>, eps: f64) -> Tensor<3> {
    let [b, n, d] = x.dims();
    let vector = d.is_multiple_of(4);
    let (x, shift, scale) =
        (Buffer::packed(x), Buffer::packed(shift.expand([b, 1, d])), Buffer::packed(scale.expand([b, 1, d])));
    let y = x.beside([b, n, d], DType::F32);
    let width = if vector { d / 4 } else { d };
    let words = [b * n, width, n, d, width, width, (eps as f32).to_bits() as usize];
    launch(Norm { vector }, &[&x, &shift, &scale], &[&y], &words, [(b * n).div_ceil(WORKGROUP), 1, 1]);
    y.float()
}

/// [`modulated_norm`] in plain tensor operations.
pub fn modulated_norm_reference(x: Tensor<3>, shift: Tensor<3>, scale: Tensor<3>, eps: f64) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2); // [B, N, 1]
    centred * (variance + eps).sqrt().recip() * (scale + 1.0) + shift
}
