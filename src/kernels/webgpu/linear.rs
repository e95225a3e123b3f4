//! Matrix product with a weight `[out, in]`, and what follows it, in one kernel.

use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Shader, launch, unroll};
use super::packed::{Format, Operand, Packed};
use crate::kernels::{Residual, Slotted};

/// What is made of `x Wᵀ + b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    None,
    /// In its tanh form.
    Gelu,
    Silu,
}

/// A weight `[out, in]`.
#[derive(Debug, Clone)]
pub enum Weight {
    Plain(Tensor<2>),
    Packed(Packed),
}

impl Weight {
    fn operand(self) -> Operand {
        match self {
            Self::Plain(weight) => Operand::plain(weight),
            Self::Packed(weight) => weight.operand(),
        }
    }
}

/// Rows and outputs of an invocation's register tile.
const TILE: usize = 8;
/// Invocations along outputs and along rows.
const SIDES: [usize; 2] = [8, 4];

/// What of the epilogue a launch asks for: bits of a word, so that one shader serves all.
mod flag {
    pub const BIAS: usize = 1;
    pub const GELU: usize = 2;
    pub const SILU: usize = 4;
    pub const GATE: usize = 8;
    pub const RESIDUAL: usize = 16;
    pub const FROM: usize = 32;
    pub const INTO: usize = 64;
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Gemm {
    weight: Format,
    /// Loads take four inputs at once, which needs rows of a multiple of four; only f32 weights can do without.
    vector: bool,
}

impl Shader for Gemm {
    fn workgroup(&self) -> [u32; 3] {
        [SIDES[0] as u32, SIDES[1] as u32, 1]
    }

    fn source(&self) -> String {
        let format = self.weight;
        let (element, unit) = if self.vector { ("vec4<f32>", format.unit()) } else { ("f32", "f32") };
        let product = |i: usize| if self.vector { format!("dot(a{i}, b)") } else { format!("a{i} * b") };
        let scaled = format.is_scaled();
        let y = if scaled { 7 } else { 6 };
        let sums = |j: usize| unroll(TILE, |i| format!("sum[{}] += {};", i * TILE + j, product(i)));
        let [width, height] = SIDES;
        let vectors = format.vectors();
        format!(
            "
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
@group(0) @binding({y}) var<storage, read_write> y: array<f32>;
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
  y[(image * p.y_image + to_token) * p.outputs + col] = v;
}}

@compute @workgroup_size({width}, {height})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let col = id.x * {TILE}u;
  let row = (id.y + id.z * groups.y * {height}u) * {TILE}u;
  if (row >= p.rows || col >= p.outputs) {{ return; }}
  {a_rows}
  {b_rows}
  var sum: array<f32, {sums_count}>;
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
  }}
}}",
            BIAS = flag::BIAS,
            GELU = flag::GELU,
            SILU = flag::SILU,
            GATE = flag::GATE,
            RESIDUAL = flag::RESIDUAL,
            FROM = flag::FROM,
            INTO = flag::INTO,
            sums_count = TILE * TILE,
            uniform = y + 1,
            scales_binding =
                if scaled { "@group(0) @binding(6) var<storage, read> scales: array<u32>;" } else { "" },
            functions = format.functions(),
            a_rows = unroll(TILE, |i| {
                format!("let a_row{i} = min(row + {i}u, p.rows - 1u) * p.groups * p.group * {vectors}u;")
            }),
            b_rows = unroll(TILE, |j| format!("let b_row{j} = min(col + {j}u, p.outputs - 1u) * p.groups;")),
            scales = unroll(if scaled { TILE } else { 0 }, |j| format!("let s{j} = scale(b_row{j} + g);")),
            units = unroll(TILE, |j| format!("let w{j} = weight[b_row{j} * p.group + k];")),
            products = unroll(vectors, |v| {
                let a = unroll(TILE, |i| format!("let a{i} = x[a_row{i} + k * {vectors}u + {v}u];"));
                let b = |j: usize| format.vector(&format!("w{j}"), v, &format!("s{j}"));
                let columns = unroll(TILE, |j| format!("{{ let b = {}; {} }}", b(j), sums(j)));
                format!("{{ {a} {columns} }}")
            }),
        )
    }
}

/// The buffers and words of a launch.
struct Call {
    x: Buffer,
    weight: Operand,
    bias: Option<Buffer>,
    gate: Option<Buffer>,
    onto: Option<Buffer>,
    slots: Option<Buffer>,
    flags: usize,
    /// Rows of an image in x, in `onto` and in y.
    images: [usize; 3],
    /// Stride of the gates' table, and where in it the gate is.
    gate_at: [usize; 2],
}

impl Call {
    fn new(x: Buffer, weight: Operand, bias: Option<Tensor<1>>, image: usize) -> Self {
        let bias = bias.map(Buffer::packed);
        Self {
            x,
            weight,
            flags: if bias.is_some() { flag::BIAS } else { 0 },
            bias,
            gate: None,
            onto: None,
            slots: None,
            images: [image; 3],
            gate_at: [0; 2],
        }
    }

    /// Into `y` from so many rows of x.
    fn run(self, y: &Buffer, rows: usize) {
        let Operand { format, shape: [outputs, inputs], group, .. } = self.weight;
        let vector = inputs.is_multiple_of(4);
        let unit = if vector { 4 * format.vectors() } else { 1 };
        // A dimension holds at most 65,535 workgroups.
        let down = rows.div_ceil(TILE * SIDES[1]);
        let groups = [outputs.div_ceil(TILE * SIDES[0]), down.min(65_535), down.div_ceil(65_535)];
        let [image, onto_image, y_image] = self.images;
        let [gate_image, gate_at] = self.gate_at;
        let (groups_in, group) = (inputs / group, group / unit);
        let words = [rows, groups_in, group, outputs, self.flags, image, onto_image, y_image, gate_image, gate_at];
        // What is absent is not read; some buffer must stand in for it.
        let or_x = |buffer: &Option<Buffer>| buffer.clone().unwrap_or_else(|| self.x.clone());
        let optional = [&self.bias, &self.gate, &self.onto, &self.slots].map(or_x);
        let mut inputs = vec![&self.x, &self.weight.weight];
        inputs.extend(optional.iter().chain(&self.weight.scales));
        launch(Gemm { weight: format, vector }, &inputs, &[y], &words, groups);
    }
}

/// `activation(x Wᵀ + bias)`: `x` `[.., in]`, `weight` `[out, in]`, `bias` `[out]`, to `[.., out]`.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Weight,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    let mut shape = x.dims();
    let weight = weight.operand();
    let [outputs, inputs] = weight.shape;
    let rows = shape.iter().product::<usize>() / inputs;
    shape[D - 1] = outputs;
    let mut call = Call::new(Buffer::packed(x), weight, bias, rows);
    call.flags |= match activation {
        Activation::None => 0,
        Activation::Gelu => flag::GELU,
        Activation::Silu => flag::SILU,
    };
    let y = call.x.beside(shape, DType::F32);
    call.run(&y, rows);
    y.float()
}

/// `residual` of `x Wᵀ + bias`: `x` `[B, k, in]`, `weight` `[out, in]`, `bias` `[out]`. Tokens that are merged into others are
/// written where those lie, unless somebody else holds them.
pub fn linear_residual(x: Tensor<3>, weight: Weight, bias: Option<Tensor<1>>, residual: Residual) -> Tensor<3> {
    let [b, k, _] = x.dims();
    let weight = weight.operand();
    let [outputs, _] = weight.shape;
    let mut call = Call::new(Buffer::packed(x), weight, bias, k);
    let [onto_batch, onto_image, _] = residual.onto.dims();
    call.flags |= flag::RESIDUAL;
    call.images[1] = if onto_batch == 1 { 0 } else { onto_image };
    call.onto = Some(Buffer::packed(residual.onto));
    if let Some(gate) = residual.gate {
        let [_, rows, width] = gate.table.dims();
        call.flags |= flag::GATE;
        call.gate_at = [rows * width, gate.row * width];
        call.gate = Some(Buffer::packed(gate.table));
    }
    let y = match residual.slots {
        Some(Slotted::Into { slots, all }) => {
            call.flags |= flag::INTO;
            call.images[2] = all.dims()[1];
            call.slots = Some(Buffer::packed(slots));
            Buffer::packed(all).owned()
        }
        slots => {
            if let Some(Slotted::From(slots)) = slots {
                call.flags |= flag::FROM;
                call.slots = Some(Buffer::packed(slots));
            }
            call.x.beside([b, k, outputs], DType::F32)
        }
    };
    call.run(&y, b * k);
    y.float()
}

/// [`linear`] in plain tensor operations; with [`Residual::plain`], [`linear_residual`].
pub fn linear_reference(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>, activation: Activation) -> Tensor<3> {
    let [b, n, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    let mut y = x.reshape([b * n, inputs]).matmul(weight.transpose()).reshape([b, n, outputs]);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    let exponent = match activation {
        Activation::None => return y,
        Activation::Gelu => y.clone() * (y.clone() * y.clone() * -0.071_354_816_272_6 - 1.595_769_121_6),
        Activation::Silu => -y.clone(),
    };
    y / (exponent.clamp_max(80.0).exp() + 1.0)
}
