// Units of channels of a pixel and of a group, and the group's channels; pixels of a map and of a piece.
struct P {
  units: u32, groups: u32, group: u32, channels: u32,
  pixels: u32, piece: u32, pieces: u32, count: u32,
  eps: u32, silu: u32,
}
//#if pieces
@group(0) @binding(0) var<storage, read> x: array<$element>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> p: P;
//#end
//#if groups
@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> p: P;
//#end
//#if values
@group(0) @binding(0) var<storage, read> x: array<$element>;
@group(0) @binding(1) var<storage, read> moments: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<$element>;
@group(0) @binding(3) var<storage, read> bias: array<$element>;
@group(0) @binding(4) var<storage, read_write> y: array<$element>;
@group(0) @binding(5) var<uniform> p: P;
//#end

fn sum(t: $element) -> f32 { return $sum; }
// Pixels of piece n.
fn size(n: u32) -> f32 { return f32(min(p.piece, p.pixels - n * p.piece)); }

@compute @workgroup_size($workgroup)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * ${workgroup}u;
  if (i >= p.count) { return; }
  //#if pieces
  let group = i % p.groups;
  let piece = i / p.groups % p.pieces;
  let image = i / p.groups / p.pieces;
  let start = piece * p.piece;
  let end = min(start + p.piece, p.pixels);
  let base = image * p.pixels * p.units + group * p.group;
  // Deviations from a value of the piece itself: their squares cancel little.
  let about = x[base + start * p.units]$first;
  var total = $element();
  var square = $element();
  for (var n = start; n < end; n++) {
    for (var c = 0u; c < p.group; c++) {
      let t = x[base + n * p.units + c] - about;
      total += t;
      square += t * t;
    }
  }
  let mean = sum(total) / f32((end - start) * p.channels);
  y[i] = vec2<f32>(about + mean, sum(square) - sum(total) * mean);
  //#end
  //#if groups
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
  y[i] = vec2<f32>(mean, inverseSqrt(square / f32(p.pixels) + bitcast<f32>(p.eps)));
  //#end
  //#if values
  let c = i % p.units;
  let m = moments[i / (p.pixels * p.units) * p.groups + c / p.group];
  var v = (x[i] - m.x) * m.y * weight[c] + bias[c];
  if (p.silu != 0u) { v = v / (1.0 + exp(min($element(80.0), -v))); }
  y[i] = v;
  //#end
}
