struct P { units: u32, group: u32 }
@group(0) @binding(0) var<storage, read> weight: array<$unit>;
//#if scaled
@group(0) @binding(1) var<storage, read> scales: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> p: P;
//#else
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> p: P;
//#end

@compute @workgroup_size($workgroup)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * ${workgroup}u;
  if (i >= p.units) { return; }
  let w = weight[i];
  //#if scaled
  let s = scale(i / p.group);
  //#else
  let s = 1.0;
  //#end
  //#for v in VECTORS
  y[i * VECTORS + ${v}u] = vector(w, ${v}u, s);
  //#end
}
