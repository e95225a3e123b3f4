//! The shader of attention.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::kernels::webgpu::launch::{Scalar, Shader, unroll};

/// Keys handled at a time: one rescaling for all of them.
const KEYS: usize = 4;
/// Bytes of a workgroup's memory for keys and values.
const MEMORY: usize = 16 << 10;

/// How the queries are shared out and where the keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// A query to an invocation, which reads what it needs itself.
    Single,
    /// Two queries to an invocation, which share what is read.
    Double,
    /// A query to an invocation, a workgroup of which takes some keys and values at a time into its own memory.
    Shared,
}

impl Stream {
    pub fn queries(self) -> usize {
        if self == Self::Double { 2 } else { 1 }
    }

    pub fn workgroup(self) -> usize {
        if self == Self::Shared { 64 } else { 32 }
    }
}

impl Display for Stream {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Double => "double",
            Self::Shared => "shared",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flash {
    /// Width of a head in vectors of four.
    pub vectors: usize,
    pub stream: Stream,
    pub bias: bool,
    /// Of the queries and what comes out.
    pub query: Scalar,
    /// Of keys and values.
    pub key: Scalar,
}

impl Shader for Flash {
    fn workgroup(&self) -> [u32; 3] {
        [self.stream.workgroup() as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (vectors, queries) = (self.vectors, self.stream.queries());
        let each = |line: &dyn Fn(usize, usize) -> String| unroll(queries, |i| unroll(vectors, |c| line(i, c)));
        let key_loads =
            |from: &str, c: usize| unroll(KEYS, |j| format!("let e{j} = vec4<f32>({from}[{from}{j} + {c}u]);"));
        let bias = |i: usize| {
            let at = |j: usize| format!("bias[b{i} + min(s + {j}u, p.keys - 1u) * p.bias_s]");
            if self.bias { format!(" + vec4<f32>({}, {}, {}, {})", at(0), at(1), at(2), at(3)) } else { String::new() }
        };
        let (bias_binding, out, uniform) = match self.bias {
            true => ("@group(0) @binding(3) var<storage, read> bias: array<f32>;", 4, 5),
            false => ("", 3, 4),
        };
        let (keys, values) = self.names();
        let sums = format!(
            "
    {key_rows}
    {scores_zero}
    {scores}
    let real = vec4<u32>(s, s + 1u, s + 2u, s + 3u) < vec4<u32>(p.keys);
    {weights}
    {values}",
            key_rows = unroll(KEYS, |j| self.key_row(j)),
            scores_zero = unroll(queries, |i| format!("var t{i} = vec4<f32>();")),
            scores = unroll(vectors, |c| {
                let sums = unroll(queries, |i| {
                    let dots = (0..KEYS).map(|j| format!("dot(q{i}_{c}, e{j})")).collect::<Vec<_>>().join(", ");
                    format!("t{i} += vec4<f32>({dots});")
                });
                format!("{{ {} {sums} }}", key_loads(keys, c))
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
                format!("{{ {} {sums} }}", key_loads(values, c))
            }),
        );
        format!(
            "
{enable}
// Strides of q, k and v, by batch, head and token, in vectors of four; those of the bias in values.
struct P {{
  queries: u32, keys: u32, heads: u32, scale: u32,
  q_b: u32, q_h: u32, q_n: u32,
  k_b: u32, k_h: u32, k_n: u32,
  v_b: u32, v_h: u32, v_n: u32,
  bias_b: u32, bias_h: u32, bias_n: u32, bias_s: u32,
}}
@group(0) @binding(0) var<storage, read> query: array<{query}>;
@group(0) @binding(1) var<storage, read> key: array<{key}>;
@group(0) @binding(2) var<storage, read> value: array<{key}>;
{bias_binding}
@group(0) @binding({out}) var<storage, read_write> y: array<{query}>;
@group(0) @binding({uniform}) var<uniform> p: P;

fn largest(x: vec4<f32>) -> f32 {{ return max(max(x.x, x.y), max(x.z, x.w)); }}
{memory}

@compute @workgroup_size({workgroup})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) me: u32) {{
  let first = id.x * {queries}u;
  let scale = bitcast<f32>(p.scale);
  {rows}
  {loads}
  {zeros}
  {state}
  let key_at = id.z * p.k_b + id.y * p.k_h;
  let value_at = id.z * p.v_b + id.y * p.v_h;
  {over_keys}
  {puts}
}}",
            enable = Scalar::enable_any(&[self.query, self.key]),
            query = self.query.lanes(4),
            key = self.key.lanes(4),
            memory = self.memory(),
            workgroup = self.stream.workgroup(),
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
            loads = each(&|i, c| format!("let q{i}_{c} = vec4<f32>(query[q_row{i} + {c}u]) * scale;")),
            zeros = each(&|i, c| format!("var o{i}_{c} = vec4<f32>();")),
            state = unroll(queries, |i| format!("var m{i} = -1e30; var l{i} = 0.0;")),
            over_keys = self.over_keys(&sums),
            puts = unroll(queries, |i| {
                let stored = |c: usize| self.query.stored(4, &format!("o{i}_{c} / l{i}"));
                let writes = unroll(vectors, |c| format!("y[at + {c}u] = {};", stored(c)));
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

impl Flash {
    /// Keys that a workgroup takes at a time.
    fn deep(&self) -> usize {
        (MEMORY / (2 * self.vectors * 16) / KEYS * KEYS).clamp(KEYS, 64)
    }

    /// Of what keys and values are read from.
    fn names(&self) -> (&'static str, &'static str) {
        if self.stream == Stream::Shared { ("keys", "values") } else { ("key", "value") }
    }

    fn memory(&self) -> String {
        if self.stream != Stream::Shared {
            return String::new();
        }
        let (element, count) = (self.key.lanes(4), self.deep() * self.vectors);
        format!(
            "var<workgroup> keys: array<{element}, {count}>;
             var<workgroup> values: array<{element}, {count}>;"
        )
    }

    /// Where the key `s + j` and its value begin.
    fn key_row(&self, j: usize) -> String {
        match self.stream {
            Stream::Shared => {
                let vectors = self.vectors;
                format!("let keys{j} = (s - tile + {j}u) * {vectors}u; let values{j} = keys{j};")
            }
            _ => format!(
                "let token{j} = min(s + {j}u, p.keys - 1u);
                 let key{j} = key_at + token{j} * p.k_n; let value{j} = value_at + token{j} * p.v_n;"
            ),
        }
    }

    /// WGSL that does `sums` for every [`KEYS`] keys from `s` on.
    fn over_keys(&self, sums: &str) -> String {
        if self.stream != Stream::Shared {
            return format!("for (var s = 0u; s < p.keys; s += {KEYS}u) {{ {sums} }}");
        }
        let (vectors, deep, workgroup) = (self.vectors, self.deep(), self.stream.workgroup());
        format!(
            "
  for (var tile = 0u; tile < p.keys; tile += {deep}u) {{
    workgroupBarrier();
    for (var i = me; i < {count}u; i += {workgroup}u) {{
      let token = min(tile + i / {vectors}u, p.keys - 1u);
      keys[i] = key[key_at + token * p.k_n + i % {vectors}u];
      values[i] = value[value_at + token * p.v_n + i % {vectors}u];
    }}
    workgroupBarrier();
    for (var s = tile; s < min(tile + {deep}u, p.keys); s += {KEYS}u) {{ {sums} }}
  }}",
            count = deep * vectors,
        )
    }
}
