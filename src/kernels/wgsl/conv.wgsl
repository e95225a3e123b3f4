// Units of channels, rows and columns of x; channels, rows and columns of y.
struct P {
  units: u32, height: u32, width: u32,
  outputs: u32, rows: u32, columns: u32,
  images: u32, flags: u32,
}
@group(0) @binding(0) var<storage, read> x: array<$element>;
@group(0) @binding(1) var<storage, read> weight: array<$stored>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> onto: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: P;

//#if half
fn weight_at(i: u32) -> vec4<f32> {
  let w = weight[i];
  return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
}
//#else
fn weight_at(i: u32) -> $element { return weight[i]; }
//#end

fn on(flag: u32) -> bool { return (p.flags & flag) != 0u; }

fn put(cell: u32, channel: u32, sum: f32) {
  var v = sum;
  let at = cell * p.outputs + channel;
  if (on(BIAS)) { v += bias[channel]; }
  if (on(ONTO)) { v += onto[at]; }
  if (on(RELU)) { v = max(v, 0.0); }
  y[at] = v;
}
