//! A router in one kernel: scores of all tokens, radix selection of the k-th, then compaction in order.
//!
//! One workgroup an image does all of it. Where scoring is too much for one, and where all tokens are kept, a kernel of many
//! workgroups scores.

use burn::tensor::{DType, Int, Tensor};

use super::launch::{Buffer, Shader, launch};
use crate::kernels::Slots;

const WORKGROUP: usize = 256;

/// Products of an image up to which the workgroup that selects scores too.
const FEW: usize = 1 << 17;
/// Tokens of a workgroup of [`Score`], and the invocations that share out one.
const TOKENS: usize = 4;
const LANES: usize = 16;

/// Scores `[B, N]`; where all tokens are kept, also their indices and slots.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Score {
    all: bool,
}

impl Shader for Score {
    fn workgroup(&self) -> [u32; 3] {
        [(TOKENS * LANES) as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (outputs, uniform, writes) = if self.all {
            (
                "@group(0) @binding(3) var<storage, read_write> index: array<i32>;
                 @group(0) @binding(4) var<storage, read_write> slots: array<f32>;",
                5,
                "index[at] = i32(token);
                 slots[2u * at] = f32(token);
                 slots[2u * at + 1u] = s * bitcast<f32>(p.gain);",
            )
        } else {
            ("", 3, "")
        };
        format!(
            "
struct P {{ tokens: u32, width: u32, gain: u32 }}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> router: array<f32>;
@group(0) @binding(2) var<storage, read_write> score: array<f32>;
{outputs}
@group(0) @binding({uniform}) var<uniform> p: P;
var<workgroup> parts: array<f32, {count}>;

@compute @workgroup_size({count})
fn main(@builtin(local_invocation_index) me: u32, @builtin(workgroup_id) group: vec3<u32>) {{
  let token = group.x * {TOKENS}u + me / {LANES}u;
  let at = group.y * p.tokens + token;
  var part = 0.0;
  if (token < p.tokens) {{
    for (var c = me % {LANES}u; c < p.width; c += {LANES}u) {{ part += x[at * p.width + c] * router[c]; }}
  }}
  parts[me] = part;
  workgroupBarrier();
  if (token < p.tokens && me % {LANES}u == 0u) {{
    var logit = 0.0;
    for (var i = 0u; i < {LANES}u; i++) {{ logit += parts[me + i]; }}
    let s = 1.0 / (1.0 + exp(min(80.0, -logit)));
    score[at] = s;
    {writes}
  }}
}}",
            count = TOKENS * LANES,
        )
    }
}

/// Selection by scores: its own, or those that [`Score`] wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Select {
    scored: bool,
}

impl Shader for Select {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (bindings, scores) = if self.scored {
            (
                "@group(0) @binding(0) var<storage, read> score: array<f32>;
                 @group(0) @binding(1) var<storage, read_write> index: array<i32>;
                 @group(0) @binding(2) var<storage, read_write> slots: array<f32>;
                 @group(0) @binding(3) var<uniform> p: P;",
                "",
            )
        } else {
            (
                "@group(0) @binding(0) var<storage, read> x: array<f32>;
                 @group(0) @binding(1) var<storage, read> router: array<f32>;
                 @group(0) @binding(2) var<storage, read_write> score: array<f32>;
                 @group(0) @binding(3) var<storage, read_write> index: array<i32>;
                 @group(0) @binding(4) var<storage, read_write> slots: array<f32>;
                 @group(0) @binding(5) var<uniform> p: P;",
                "
  for (var i = me; i < p.tokens; i += 256u) {
    let row = (base + i) * p.width;
    var logit = 0.0;
    for (var c = 0u; c < p.width; c++) { logit += x[row + c] * router[c]; }
    score[base + i] = 1.0 / (1.0 + exp(min(80.0, -logit)));
  }
  storageBarrier();",
            )
        };
        "
struct P { tokens: u32, k: u32, width: u32, gain: u32 }
{bindings}

var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> above: array<u32, 256>;
var<workgroup> equal: array<u32, 256>;
// The digits found so far of the k-th largest key, and how many keys that start with them are still wanted.
var<workgroup> prefix: u32;
var<workgroup> wanted: u32;

// A score is not negative, so its bits are in its order.
fn key(i: u32) -> u32 { return bitcast<u32>(score[i]); }

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) me: u32, @builtin(workgroup_id) group: vec3<u32>) {
  let base = group.x * p.tokens;
  {scores}
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
    if (k > prefix || (k == prefix && ties < wanted)) {
      let at = group.x * p.k + greater + min(ties, wanted);
      index[at] = i32(i);
      slots[2u * at] = f32(i);
      slots[2u * at + 1u] = score[base + i] * bitcast<f32>(p.gain);
    }
    greater += u32(k > prefix);
    ties += u32(k == prefix);
  }
}"
        .replace("{bindings}", bindings)
        .replace("{scores}", scores)
    }
}

/// The tokens that [`select`] keeps.
pub struct Selected {
    /// Indices, ascending: `[B, k]`.
    pub index: Tensor<2, Int>,
    /// Scores of all tokens: `[B, N]`.
    pub score: Tensor<2>,
    /// Indices as numbers, and weights: `[B, k, 2]`.
    pub slots: Slots,
}

/// The `k` tokens of every image of `x` `[B, N, D]` with the highest scores `sigmoid(x · router)`, `router` `[1, D]`; of equal
/// ones the lower index. Their weights are the scores times `gain`. 1 ≤ k ≤ N.
pub fn select(x: Tensor<3>, router: Tensor<2>, k: usize, gain: f32) -> Selected {
    let [b, n, width] = x.dims();
    let (x, router) = (Buffer::packed(x), Buffer::packed(router));
    let score = x.beside([b, n], DType::F32);
    let index = x.beside([b, k], DType::I32);
    let slots = x.beside([b, k, 2], DType::F32);
    let gain = gain.to_bits() as usize;
    let (scoring, many) = ([n, width, gain], [n.div_ceil(TOKENS), b, 1]);
    let words = [n, k, width, gain];
    if k == n {
        launch(Score { all: true }, &[&x, &router], &[&score, &index, &slots], &scoring, many);
    } else if n * width > FEW {
        launch(Score { all: false }, &[&x, &router], &[&score], &scoring, many);
        launch(Select { scored: true }, &[&score], &[&index, &slots], &words, [b, 1, 1]);
    } else {
        launch(Select { scored: false }, &[&x, &router], &[&score, &index, &slots], &words, [b, 1, 1]);
    }
    Selected { index: index.int(), score: score.float(), slots: slots.float() }
}
