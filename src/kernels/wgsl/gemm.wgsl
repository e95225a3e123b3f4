// `activation(x Wᵀ + bias)`, gated, added to a residual, gathered from tokens or scattered to them: the frame of every tile.

// Rows of an image: those of x, of `onto` (0 where one serves all images) and of y. A row of the weight is `groups` of `group` units.
struct P {
  rows: u32, groups: u32, group: u32, outputs: u32,
  flags: u32, image: u32, onto_image: u32, y_image: u32,
  gate_image: u32, gate_at: u32,
}
@group(0) @binding(0) var<storage, read> x: array<$element>;
@group(0) @binding(1) var<storage, read> weight: array<$unit>;
@group(0) @binding(2) var<storage, read> bias: array<$sum>;
@group(0) @binding(3) var<storage, read> gate: array<$sum>;
@group(0) @binding(4) var<storage, read> onto: array<$sum>;
// Of each row the token it stands for, and its weight.
@group(0) @binding(5) var<storage, read> selected: array<f32>;
//#if scaled
@group(0) @binding(6) var<storage, read> scales: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<$y>;
@group(0) @binding(8) var<uniform> p: P;
//#else
@group(0) @binding(6) var<storage, read_write> y: array<$y>;
@group(0) @binding(7) var<uniform> p: P;
//#end

fn on(flag: u32) -> bool { return (p.flags & flag) != 0u; }

// Where a row's values lie in the gates' table, in `onto` and in y, and its weight: found once for all its outputs.
struct Row { gate: u32, onto: u32, y: u32, weight: f32 }

fn row_at(row: u32) -> Row {
  let image = row / p.image;
  let token = row % p.image;
  var from_token = token;
  var to_token = token;
  var weight = 1.0;
  if (on(GATHER)) { from_token = u32(selected[2u * row]); }
  if (on(SCATTER)) {
    to_token = u32(selected[2u * row]);
    weight = selected[2u * row + 1u];
  }
  return Row(
    image * p.gate_image + p.gate_at,
    (image * p.onto_image + from_token) * p.outputs,
    (image * p.y_image + to_token) * p.outputs,
    weight,
  );
}

// WIDE sums of a row, from `col` on.
fn put(row: Row, col: u32, sum: $sum) {
  var v = sum;
  if (on(BIAS)) { v += bias[col / WIDE]; }
  // As v / (1 + exp(-2u)): tanh overflows to NaN on some adapters.
  if (on(GELU)) { v = v / (1.0 + exp(min($sum(80.0), v * (-1.5957691216 - 0.0713548162726 * v * v)))); }
  if (on(SILU)) { v = v / (1.0 + exp(min($sum(80.0), -v))); }
  if (on(GATE)) { v *= gate[(row.gate + col) / WIDE]; }
  if (on(SCATTER)) { v *= row.weight; }
  if (on(RESIDUAL)) { v += onto[(row.onto + col) / WIDE]; }
  y[(row.y + col) / WIDE] = $stored;
}
