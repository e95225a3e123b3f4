struct P { tokens: u32, width: u32, gain: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> router: array<f32>;
@group(0) @binding(2) var<storage, read_write> score: array<f32>;
//#if all
@group(0) @binding(3) var<storage, read_write> index: array<i32>;
@group(0) @binding(4) var<storage, read_write> selected: array<f32>;
@group(0) @binding(5) var<uniform> p: P;
//#else
@group(0) @binding(3) var<uniform> p: P;
//#end
var<workgroup> parts: array<f32, $workgroup>;

@compute @workgroup_size($workgroup)
fn main(@builtin(local_invocation_index) me: u32, @builtin(workgroup_id) group: vec3<u32>) {
  let token = group.x * TOKENS + me / LANES;
  let at = group.y * p.tokens + token;
  var part = 0.0;
  if (token < p.tokens) {
    for (var c = me % LANES; c < p.width; c += LANES) { part += x[at * p.width + c] * router[c]; }
  }
  parts[me] = part;
  workgroupBarrier();
  if (token < p.tokens && me % LANES == 0u) {
    var logit = 0.0;
    for (var i = 0u; i < LANES; i++) { logit += parts[me + i]; }
    let s = 1.0 / (1.0 + exp(min(80.0, -logit)));
    score[at] = s;
    //#if all
    index[at] = i32(token);
    selected[2u * at] = f32(token);
    selected[2u * at + 1u] = s * bitcast<f32>(p.gain);
    //#end
  }
}
