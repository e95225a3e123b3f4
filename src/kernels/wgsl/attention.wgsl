// softmax(scale · q kᵀ + bias) v: the frame of every way to share it out.

// Strides of q, k and v, by batch, head and token, in vectors of four; those of the bias in values.
struct P {
  queries: u32, keys: u32, heads: u32, scale: u32,
  q_b: u32, q_h: u32, q_n: u32,
  k_b: u32, k_h: u32, k_n: u32,
  v_b: u32, v_h: u32, v_n: u32,
  bias_b: u32, bias_h: u32, bias_n: u32, bias_s: u32,
}
@group(0) @binding(0) var<storage, read> query: array<$query>;
@group(0) @binding(1) var<storage, read> key: array<$key>;
@group(0) @binding(2) var<storage, read> value: array<$key>;
//#if bias
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<$query>;
@group(0) @binding(5) var<uniform> p: P;
//#else
@group(0) @binding(3) var<storage, read_write> y: array<$query>;
@group(0) @binding(4) var<uniform> p: P;
//#end

fn stored(v: vec4<f32>) -> $query { return $stored; }
