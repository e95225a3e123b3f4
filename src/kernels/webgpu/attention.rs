//! Attention without a score matrix: each invocation streams over the keys with a running maximum.

use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Shader, launch, unroll};

const WORKGROUP: usize = 32;
/// Keys handled at a time: one rescaling for all of them.
const KEYS: usize = 4;

/// Whether [`attention`] takes this width of a head.
pub fn fits(head_dim: usize) -> bool {
    head_dim.is_multiple_of(4) && (4..=128).contains(&head_dim)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Flash {
    /// Width of a head in vectors of four.
    vectors: usize,
    /// Queries of an invocation, which share the loads of keys and values.
    queries: usize,
    bias: bool,
}

impl Shader for Flash {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (vectors, queries) = (self.vectors, self.queries);
        let each = |line: &dyn Fn(usize, usize) -> String| unroll(queries, |i| unroll(vectors, |c| line(i, c)));
        let key_loads = |from: &str, c: usize| unroll(KEYS, |j| format!("let e{j} = {from}[{from}{j} + {c}u];"));
        let bias = |i: usize| {
            let at = |j: usize| format!("bias[b{i} + min(s + {j}u, p.keys - 1u) * p.bias_s]");
            if self.bias { format!(" + vec4<f32>({}, {}, {}, {})", at(0), at(1), at(2), at(3)) } else { String::new() }
        };
        let (bias_binding, out, uniform) = match self.bias {
            true => ("@group(0) @binding(3) var<storage, read> bias: array<f32>;", 4, 5),
            false => ("", 3, 4),
        };
        format!(
            "
// Strides of q, k and v, by batch, head and token, in vectors of four; those of the bias in values.
struct P {{
  queries: u32, keys: u32, heads: u32, scale: u32,
  q_b: u32, q_h: u32, q_n: u32,
  k_b: u32, k_h: u32, k_n: u32,
  v_b: u32, v_h: u32, v_n: u32,
  bias_b: u32, bias_h: u32, bias_n: u32, bias_s: u32,
}}
@group(0) @binding(0) var<storage, read> query: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> key: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> value: array<vec4<f32>>;
{bias_binding}
@group(0) @binding({out}) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding({uniform}) var<uniform> p: P;

fn largest(x: vec4<f32>) -> f32 {{ return max(max(x.x, x.y), max(x.z, x.w)); }}

@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
  let first = id.x * {queries}u;
  if (first >= p.queries) {{ return; }}
  let scale = bitcast<f32>(p.scale);
  {rows}
  {loads}
  {zeros}
  {state}
  let key_at = id.z * p.k_b + id.y * p.k_h;
  let value_at = id.z * p.v_b + id.y * p.v_h;
  for (var s = 0u; s < p.keys; s += {KEYS}u) {{
    {key_rows}
    {scores_zero}
    {scores}
    let real = vec4<u32>(s, s + 1u, s + 2u, s + 3u) < vec4<u32>(p.keys);
    {weights}
    {values}
  }}
  {puts}
}}",
            rows = unroll(queries, |i| {
                let bias = if self.bias {
                    format!("let b{i} = id.z * p.bias_b + id.y * p.bias_h + n{i} * p.bias_n;")
                } else {
                    String::new()
                };
                format!(
                    "let n{i} = min(first + {i}u, p.queries - 1u);
                     let q_row{i} = id.z * p.q_b + id.y * p.q_h + n{i} * p.q_n; {bias}"
                )
            }),
            loads = each(&|i, c| format!("let q{i}_{c} = query[q_row{i} + {c}u] * scale;")),
            zeros = each(&|i, c| format!("var o{i}_{c} = vec4<f32>();")),
            state = unroll(queries, |i| format!("var m{i} = -1e30; var l{i} = 0.0;")),
            key_rows = unroll(KEYS, |j| {
                format!(
                    "let token{j} = min(s + {j}u, p.keys - 1u);
                     let key{j} = key_at + token{j} * p.k_n; let value{j} = value_at + token{j} * p.v_n;"
                )
            }),
            scores_zero = unroll(queries, |i| format!("var t{i} = vec4<f32>();")),
            scores = unroll(vectors, |c| {
                let sums = unroll(queries, |i| {
                    let dots = (0..KEYS).map(|j| format!("dot(q{i}_{c}, e{j})")).collect::<Vec<_>>().join(", ");
                    format!("t{i} += vec4<f32>({dots});")
                });
                format!("{{ {} {sums} }}", key_loads("key", c))
            }),
            weights = unroll(queries, |i| {
                format!(
                    "t{i} = select(vec4<f32>(-1e30), t{i}{bias}, real);
                     let r{i} = exp(m{i} - max(m{i}, largest(t{i})));
                     m{i} = max(m{i}, largest(t{i}));
                     let w{i} = select(vec4<f32>(), exp(t{i} - m{i}), real);
                     l{i} = l{i} * r{i} + dot(w{i}, vec4<f32>(1.0));",
                    bias = bias(i)
                )
            }),
            values = unroll(vectors, |c| {
                let sums = unroll(queries, |i| {
                    format!("o{i}_{c} = o{i}_{c} * r{i} + w{i}.x * e0 + w{i}.y * e1 + w{i}.z * e2 + w{i}.w * e3;")
                });
                format!("{{ {} {sums} }}", key_loads("value", c))
            }),
            puts = unroll(queries, |i| {
                let writes = unroll(vectors, |c| format!("y[at + {c}u] = o{i}_{c} / l{i};"));
                format!(
                    "if (first + {i}u < p.queries) {{
                       let at = ((id.z * p.queries + first + {i}u) * p.heads + id.y) * {vectors}u;
                       {writes}
                     }}"
                )
            }),
        )
    }
}

/// `softmax(scale · query keyᵀ + bias) value`: `query` `[B, H, N, d]`, `key` and `value` `[B, H, S, d]`, `bias` `[B, H, N, S]` (views
/// and repeated dimensions welcome), to `[B, H, N, d]` that lies in memory as `[B, N, H, d]`. The head must [`fits`].
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, bias: Option<Tensor<4>>, scale: f32) -> Tensor<4> {
    let [b, heads, n, d] = query.dims();
    let s = key.dims()[2];
    let shader = Flash { vectors: d / 4, queries: if d <= 64 { 2 } else { 1 }, bias: bias.is_some() };
    let mut words = vec![n, s, heads, scale.to_bits() as usize];
    let mut buffers = Vec::with_capacity(4);
    for x in [query, key, value] {
        let (buffer, strides) = vectors(x);
        words.extend(strides);
        buffers.push(buffer);
    }
    if let Some(bias) = bias {
        let buffer = Buffer::strided(bias);
        words.extend((0..4).map(|dim| buffer.stride(dim)));
        buffers.push(buffer);
    } else {
        words.extend([0; 4]);
    }
    let y = buffers[0].beside([b, n, heads, d], DType::F32);
    let groups = [n.div_ceil(WORKGROUP * shader.queries), heads, b];
    launch(shader, &buffers.iter().collect::<Vec<_>>(), &[&y], &words, groups);
    y.float::<4>().swap_dims(1, 2)
}

/// `x` readable in vectors of four along its last dimension, with the strides of the others in vectors; copied where it must be.
fn vectors(x: Tensor<4>) -> (Buffer, [usize; 3]) {
    let [_, h, n, d] = x.dims();
    let as_it_lies = Buffer::strided(x.clone());
    let strides = [0, 1, 2].map(|dim| as_it_lies.stride(dim));
    if as_it_lies.stride(3) == 1 && strides.iter().all(|s| s.is_multiple_of(4)) {
        return (as_it_lies, strides.map(|s| s / 4));
    }
    (Buffer::packed(x), [h * n * d, n * d, d].map(|s| s / 4))
}

/// [`attention`] in plain tensor operations.
pub fn attention_reference(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: f32,
) -> Tensor<4> {
    let mut scores = query.matmul(key.swap_dims(2, 3)) * scale; // [B, H, N, S]
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    burn::tensor::activation::softmax(scores, 3).matmul(value)
}
