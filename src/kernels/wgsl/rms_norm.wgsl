struct P { rows: u32, width: u32, channels: u32, eps: u32 }
@group(0) @binding(0) var<storage, read> x: array<$element>;
@group(0) @binding(1) var<storage, read> weight: array<$element>;
@group(0) @binding(2) var<storage, read_write> y: array<$element>;
@group(0) @binding(3) var<uniform> p: P;

fn sum(t: $element) -> f32 { return $sum; }

@compute @workgroup_size($workgroup)
fn main(
  @builtin(workgroup_id) at: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  let row = row_of(at.x + at.y * groups.x, me);
  let first = first_of(me);
  if (row >= p.rows) { return; }
  let start = row * p.width;
  var square = $element();
  for (var i = first; i < p.width; i += stride) { square += x[start + i] * x[start + i]; }
  let scale = inverseSqrt(over_row(sum(square), me) / f32(p.channels) + bitcast<f32>(p.eps));
  for (var i = first; i < p.width; i += stride) { y[start + i] = x[start + i] * scale * weight[i]; }
}
