// A group of a row to an invocation: its largest value over 127 is its scale, which lies behind the row's words.

// Groups of all rows and of one, and units of a group.
struct P { count: u32, groups: u32, group: u32 }
@group(0) @binding(0) var<storage, read> x: array<$element>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: P;

fn word(v: vec4<f32>) -> u32 { return pack4xI8(vec4<i32>(round(v))); }

@compute @workgroup_size($workgroup)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * ${workgroup}u;
  if (i >= p.count) { return; }
  let x_at = i * p.group * UNIT;
  var most = vec4<f32>(1e-30);
  for (var k = 0u; k < p.group * UNIT; k++) { most = max(most, abs(vec4<f32>(x[x_at + k]))); }
  let scale = max(max(most.x, most.y), max(most.z, most.w)) / 127.0;
  let inverse = 1.0 / scale;
  let units = p.groups * p.group;
  let row = i / p.groups * UNIT * (units + (p.groups + 1u) / 2u);
  let group = i % p.groups;
  for (var k = 0u; k < p.group; k++) {
    let a = vec4<f32>(x[x_at + UNIT * k]) * inverse;
    let b = vec4<f32>(x[x_at + UNIT * k + 1u]) * inverse;
    let at = row + UNIT * (group * p.group + k);
    //#if q4
    y[at] = word(vec4<f32>(a.xz, b.xz));
    y[at + 1u] = word(vec4<f32>(a.yw, b.yw));
    //#else
    y[at] = word(a);
    y[at + 1u] = word(b);
    //#end
  }
  y[row + UNIT * units + group] = bitcast<u32>(scale);
}
