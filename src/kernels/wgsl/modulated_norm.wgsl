// Rows of `width` elements, `image` of them to an image of x and `group` to one of y. Shift and scale are rows of tables.
struct P {
  rows: u32, width: u32, channels: u32, eps: u32,
  group: u32, image: u32, gathered: u32,
  shift_image: u32, shift_at: u32, scale_image: u32, scale_at: u32,
}
@group(0) @binding(0) var<storage, read> x: array<$element>;
@group(0) @binding(1) var<storage, read> shift: array<$element>;
@group(0) @binding(2) var<storage, read> scale: array<$element>;
@group(0) @binding(3) var<storage, read> selected: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<$y>;
@group(0) @binding(5) var<uniform> p: P;

fn sum(t: $element) -> f32 { return $sum; }

@compute @workgroup_size($workgroup)
fn main(
  @builtin(workgroup_id) at: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  let row = row_of(at.x + at.y * groups.x, me);
  let first = first_of(me);
  if (row >= p.rows) { return; }
  let image = row / p.group;
  var token = row % p.group;
  if (p.gathered != 0u) { token = u32(selected[2u * row]); }
  let from_row = (image * p.image + token) * p.width;
  let to_row = row * p.width;
  var total = $element();
  for (var i = first; i < p.width; i += stride) { total += x[from_row + i]; }
  let mean = $element(over_row(sum(total), me) / f32(p.channels));
  var square = $element();
  for (var i = first; i < p.width; i += stride) {
    let t = x[from_row + i] - mean;
    square += t * t;
  }
  let rstd = inverseSqrt(over_row(sum(square), me) / f32(p.channels) + bitcast<f32>(p.eps));
  let shift_row = image * p.shift_image + p.shift_at;
  let scale_row = image * p.scale_image + p.scale_at;
  for (var i = first; i < p.width; i += stride) {
    let t = (x[from_row + i] - mean) * rstd * (scale[scale_row + i] + 1.0) + shift[shift_row + i];
    y[to_row + i] = $stored;
  }
}
