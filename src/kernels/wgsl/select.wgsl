// One workgroup an image.
struct P { tokens: u32, k: u32, width: u32, gain: u32 }
//#if scored
@group(0) @binding(0) var<storage, read> score: array<f32>;
@group(0) @binding(1) var<storage, read_write> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> selected: array<f32>;
@group(0) @binding(3) var<uniform> p: P;
//#else
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> router: array<f32>;
@group(0) @binding(2) var<storage, read_write> score: array<f32>;
@group(0) @binding(3) var<storage, read_write> index: array<i32>;
@group(0) @binding(4) var<storage, read_write> selected: array<f32>;
@group(0) @binding(5) var<uniform> p: P;
//#end

var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> above: array<u32, 256>;
var<workgroup> equal: array<u32, 256>;
// The digits found so far of the k-th largest key, and how many keys that start with them are still wanted.
var<workgroup> prefix: u32;
var<workgroup> wanted: u32;

// A score is not negative, so its bits are in its order.
fn key(i: u32) -> u32 { return bitcast<u32>(score[i]); }

@compute @workgroup_size($workgroup)
fn main(@builtin(local_invocation_index) me: u32, @builtin(workgroup_id) group: vec3<u32>) {
  let base = group.x * p.tokens;
  //#if !scored
  for (var i = me; i < p.tokens; i += WORKGROUP) {
    let row = (base + i) * p.width;
    var logit = 0.0;
    for (var c = 0u; c < p.width; c++) { logit += x[row + c] * router[c]; }
    score[base + i] = 1.0 / (1.0 + exp(min(80.0, -logit)));
  }
  storageBarrier();
  //#end
  if (me == 0u) {
    prefix = 0u;
    wanted = p.k;
  }
  // One digit of eight bits at a time, the highest first.
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    atomicStore(&bins[me], 0u);
    workgroupBarrier();
    for (var i = me; i < p.tokens; i += WORKGROUP) {
      let k = key(base + i);
      if (digit == 0u || ((k ^ prefix) >> (shift + 8u)) == 0u) {
        atomicAdd(&bins[(k >> shift) & 255u], 1u);
      }
    }
    workgroupBarrier();
    if (me == 0u) {
      var left = wanted;
      var bin = 255u;
      for (; bin > 0u; bin--) {
        let count = atomicLoad(&bins[bin]);
        if (count >= left) { break; }
        left -= count;
      }
      prefix |= bin << shift;
      wanted = left;
    }
    workgroupBarrier();
  }

  // Every invocation places a run of tokens behind those of the invocations before it.
  let run = (p.tokens + 255u) / 256u;
  let start = min(me * run, p.tokens);
  let end = min(start + run, p.tokens);
  var greater = 0u;
  var ties = 0u;
  for (var i = start; i < end; i++) {
    let k = key(base + i);
    greater += u32(k > prefix);
    ties += u32(k == prefix);
  }
  above[me] = greater;
  equal[me] = ties;
  workgroupBarrier();
  greater = 0u;
  ties = 0u;
  for (var i = 0u; i < me; i++) {
    greater += above[i];
    ties += equal[i];
  }
  for (var i = start; i < end; i++) {
    let k = key(base + i);
    if (k > prefix || (k == prefix && ties < wanted)) {
      let at = group.x * p.k + greater + min(ties, wanted);
      index[at] = i32(i);
      selected[2u * at] = f32(i);
      selected[2u * at + 1u] = score[base + i] * bitcast<f32>(p.gain);
    }
    greater += u32(k > prefix);
    ties += u32(k == prefix);
  }
}
