//! The k best tokens of every image in one kernel: radix selection of the k-th score, then compaction in order.

use burn::tensor::{Bool, BoolStore, DType, Int, Tensor};

use super::launch::{Buffer, Shader, launch};

const WORKGROUP: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Select;

impl Shader for Select {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        "
struct P { tokens: u32, k: u32 }
@group(0) @binding(0) var<storage, read> score: array<u32>;
@group(0) @binding(1) var<storage, read_write> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> kept: array<u32>;
@group(0) @binding(3) var<storage, read_write> place: array<i32>;
@group(0) @binding(4) var<uniform> p: P;

var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> above: array<u32, 256>;
var<workgroup> equal: array<u32, 256>;
// The digits found so far of the k-th largest key, and how many keys that start with them are still wanted.
var<workgroup> prefix: u32;
var<workgroup> wanted: u32;

// Bits of a float in an order that unsigned comparison respects.
fn key(i: u32) -> u32 {
  let bits = score[i];
  return bits ^ select(0x80000000u, 0xffffffffu, (bits >> 31u) == 1u);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) me: u32, @builtin(workgroup_id) group: vec3<u32>) {
  let base = group.x * p.tokens;
  if (me == 0u) {
    prefix = 0u;
    wanted = p.k;
  }
  // One digit of eight bits at a time, the highest first.
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    atomicStore(&bins[me], 0u);
    workgroupBarrier();
    for (var i = me; i < p.tokens; i += 256u) {
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
    let keep = k > prefix || (k == prefix && ties < wanted);
    let at = greater + min(ties, wanted);
    if (keep) { index[group.x * p.k + at] = i32(i); }
    kept[base + i] = u32(keep);
    place[base + i] = select(0, i32(at), keep);
    greater += u32(k > prefix);
    ties += u32(k == prefix);
  }
}"
        .into()
    }
}

/// The tokens that [`select`] keeps.
pub struct Selected {
    /// Indices, ascending: `[B, k]`.
    pub index: Tensor<2, Int>,
    /// Whether a token is kept: `[B, N]`.
    pub kept: Tensor<2, Bool>,
    /// Where a kept token stands among the kept ones, 0 for the others: `[B, N]`.
    pub place: Tensor<2, Int>,
}

/// The `k` highest of the scores `[B, N]` of every image; of equal ones the lower index. 1 ≤ k ≤ N.
pub fn select(score: Tensor<2>, k: usize) -> Selected {
    let [b, n] = score.dims();
    let score = Buffer::packed(score);
    let index = score.beside([b, k], DType::I32);
    let kept = score.beside([b, n], DType::Bool(BoolStore::U32));
    let place = score.beside([b, n], DType::I32);
    launch(Select, &[&score], &[&index, &kept, &place], &[n, k], [b, 1, 1]);
    Selected { index: index.int(), kept: kept.bool(), place: place.int() }
}
