struct P { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<$from>;
@group(0) @binding(1) var<storage, read_write> y: array<$to>;
@group(0) @binding(2) var<uniform> p: P;

@compute @workgroup_size($workgroup)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * ${workgroup}u;
  if (i >= p.count) { return; }
  let v = vec4<f32>(x[i]);
  y[i] = $stored;
}
