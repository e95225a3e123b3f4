// Vector `v` of the unit `w` of a matrix, whose scale is `scale`.
//#if f32
fn vector(w: vec4<f32>, v: u32, scale: f32) -> vec4<f32> { return w; }
//#end
//#if f16
fn vector(w: vec2<u32>, v: u32, scale: f32) -> vec4<f32> { return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y)); }
//#end
//#if q8
fn vector(w: u32, v: u32, scale: f32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(w) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u)) * scale;
}
//#end
//#if q4
fn vector(w: u32, v: u32, scale: f32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(w >> (16u * v)) << vec4<u32>(28u, 24u, 20u, 16u)) >> vec4<u32>(28u)) * scale;
}
//#end
//#if scaled
// Scale `i` of the matrix: two f16 to a word.
fn scale(i: u32) -> f32 {
  let pair = unpack2x16float(scales[i >> 1u]);
  return select(pair.x, pair.y, (i & 1u) == 1u);
}
//#end
