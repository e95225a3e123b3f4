//! Matrix product with a weight `[out, in]`, and what follows it, in one kernel.

use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Shader, launch, unroll};

/// What becomes of `y = x Wᵀ + b` before it is written.
#[derive(Debug, Clone)]
pub enum Epilogue {
    None,
    /// GELU in its tanh form.
    Gelu,
    /// `residual + gate · y`: `residual` `[B, N, out]`, `gate` `[B, 1, out]` or none for 1.
    Residual {
        residual: Tensor<3>,
        gate: Option<Tensor<3>>,
    },
}

/// Rows and outputs of an invocation's register tile: what measured best of 2×2 to 8×8, with four inputs to a load.
const TILE: usize = 4;
/// Invocations along outputs and along rows.
const SIDE: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Gemm {
    /// Loads take four inputs at once, which needs rows of a multiple of four.
    vector: bool,
    bias: bool,
    gelu: bool,
    residual: bool,
    gate: bool,
}

impl Shader for Gemm {
    fn workgroup(&self) -> [u32; 3] {
        [SIDE as u32, SIDE as u32, 1]
    }

    fn source(&self) -> String {
        let element = if self.vector { "vec4<f32>" } else { "f32" };
        let product = |i, j| if self.vector { format!("dot(a{i}, b{j})") } else { format!("a{i} * b{j}") };
        let each = |line: &dyn Fn(usize, usize) -> String| unroll(TILE, |i| unroll(TILE, |j| line(i, j)));
        let optional = [(self.bias, "bias"), (self.gate, "gate"), (self.residual, "residual")];
        let optional: Vec<&str> = optional.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let bindings = unroll(optional.len(), |i| {
            format!("@group(0) @binding({}) var<storage, read> {}: array<f32>;", i + 2, optional[i])
        });
        let (y, p) = (optional.len() + 2, optional.len() + 3);
        let mut value = String::from("v");
        if self.bias {
            value += " + bias[col]";
        }
        if self.gelu {
            value = format!("gelu({value})");
        }
        if self.gate {
            value = format!("gate[row / p.group * p.outputs + col] * ({value})");
        }
        if self.residual {
            value = format!("residual[at] + {value}");
        }
        let [a, b] = ["a", "b"].map(|m| {
            unroll(TILE, |i| format!("let {m}{i} = {}[{m}_row{i} + k];", if m == "a" { "x" } else { "weight" }))
        });
        format!(
            "
struct P {{ rows: u32, inputs: u32, outputs: u32, group: u32 }}
@group(0) @binding(0) var<storage, read> x: array<{element}>;
@group(0) @binding(1) var<storage, read> weight: array<{element}>;
{bindings}
@group(0) @binding({y}) var<storage, read_write> y: array<f32>;
@group(0) @binding({p}) var<uniform> p: P;

// As x / (1 + exp(-2u)): tanh overflows to NaN on some adapters.
fn gelu(x: f32) -> f32 {{
  return x / (1.0 + exp(min(80.0, x * (-1.5957691216 - 0.0713548162726 * x * x))));
}}

fn put(row: u32, col: u32, v: f32) {{
  if (row < p.rows && col < p.outputs) {{
    let at = row * p.outputs + col;
    y[at] = {value};
  }}
}}

@compute @workgroup_size({SIDE}, {SIDE})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let col = id.x * {TILE}u;
  let row = (id.y + id.z * groups.y * {SIDE}u) * {TILE}u;
  if (row >= p.rows || col >= p.outputs) {{ return; }}
  {a_rows}
  {b_rows}
  {zeros}
  for (var k = 0u; k < p.inputs; k++) {{
    {b}
    {a}
    {sums}
  }}
  {puts}
}}",
            a_rows = unroll(TILE, |i| format!("let a_row{i} = min(row + {i}u, p.rows - 1u) * p.inputs;")),
            b_rows = unroll(TILE, |j| format!("let b_row{j} = min(col + {j}u, p.outputs - 1u) * p.inputs;")),
            zeros = each(&|i, j| format!("var s{i}{j} = 0.0;")),
            sums = each(&|i, j| format!("s{i}{j} += {};", product(i, j))),
            puts = each(&|i, j| format!("put(row + {i}u, col + {j}u, s{i}{j});")),
        )
    }
}

/// `epilogue(x Wᵀ + bias)`: `x` `[.., in]`, `weight` `[out, in]`, `bias` `[out]`, to `[.., out]`.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    epilogue: Epilogue,
) -> Tensor<D> {
    let mut shape = x.dims();
    let [outputs, inputs] = weight.dims();
    let rows = shape.iter().product::<usize>() / inputs;
    shape[D - 1] = outputs;
    let vector = inputs.is_multiple_of(4);
    let mut shader =
        Gemm { vector, bias: bias.is_some(), gelu: matches!(epilogue, Epilogue::Gelu), residual: false, gate: false };
    let mut buffers = vec![Buffer::packed(x), Buffer::packed(weight)];
    buffers.extend(bias.map(Buffer::packed));
    let mut group = 1; // rows that share a gate
    if let Epilogue::Residual { residual, gate } = epilogue {
        (shader.residual, shader.gate, group) = (true, gate.is_some(), residual.dims()[1]);
        buffers.extend(gate.map(Buffer::packed));
        buffers.push(Buffer::packed(residual));
    }
    let y = buffers[0].beside(shape, DType::F32);
    let span = TILE * SIDE;
    // A dimension holds at most 65,535 workgroups.
    let down = rows.div_ceil(span);
    let groups = [outputs.div_ceil(span), down.min(65_535), down.div_ceil(65_535)];
    let words = [rows, if vector { inputs / 4 } else { inputs }, outputs, group];
    launch(shader, &buffers.iter().collect::<Vec<_>>(), &[&y], &words, groups);
    y.float()
}

/// [`linear`] in plain tensor operations.
pub fn linear_reference(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>, epilogue: Epilogue) -> Tensor<3> {
    let [b, n, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    let mut y = x.reshape([b * n, inputs]).matmul(weight.transpose()).reshape([b, n, outputs]);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    match epilogue {
        Epilogue::None => y,
        Epilogue::Gelu => {
            let exponent = y.clone() * (y.clone() * y.clone() * -0.071_354_816_272_6 - 1.595_769_121_6);
            y / (exponent.clamp_max(80.0).exp() + 1.0)
        }
        Epilogue::Residual { residual, gate: Some(gate) } => residual + gate * y,
        Epilogue::Residual { residual, gate: None } => residual + y,
    }
}
