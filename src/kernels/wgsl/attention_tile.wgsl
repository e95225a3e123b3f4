// softmax(scale · q kᵀ + bias) v: LANES invocations share QUERIES queries, of which a workgroup has as many as are in its memory. It
// takes KEYS keys at a time there, then their values, with a running maximum. Of a query's scores an invocation has every LANES-th, and
// so of what comes out every LANES-th vector. Exponents are of two, for which the queries are scaled.
const LOG2E: f32 = 1.4426950408889634;

var<workgroup> queries: array<$query, $queries>;
// Keys, then values.
var<workgroup> tile: array<$key, $tile>;
// Of each query those of the keys, as weights.
var<workgroup> weights: array<f32, $weights>;
// Of each query the largest score of each invocation; at the end its sum of weights.
var<workgroup> lanes: array<f32, $lanes>;

fn scaled(v: vec4<f32>) -> $query { return $stored; }

@compute @workgroup_size($workgroup)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) me: u32) {
  let lane = me % LANES;
  let mine = me / LANES * QUERIES;
  let first = group.x * TOGETHER;
  let q_at = group.z * p.q_b + group.y * p.q_h;
  for (var i = me; i < TOGETHER * VECTORS; i += WORKGROUP) {
    let q = query[q_at + min(first + i / VECTORS, p.queries - 1u) * p.q_n + i % VECTORS];
    queries[i] = scaled(vec4<f32>(q) * (bitcast<f32>(p.scale) * LOG2E));
  }
  let key_at = group.z * p.k_b + group.y * p.k_h;
  let value_at = group.z * p.v_b + group.y * p.v_h;
  //#for i in QUERIES
  //#if bias
  let bias_row$i = group.z * p.bias_b + group.y * p.bias_h + min(first + mine + ${i}u, p.queries - 1u) * p.bias_n;
  //#end
  var m$i = -1e30;
  var l$i = 0.0;
  //#for c in COLUMNS
  var o${i}_$c = vec4<f32>();
  //#end
  //#end
  for (var s = 0u; s < p.keys; s += KEYS) {
    workgroupBarrier();
    for (var i = me; i < KEYS * VECTORS; i += WORKGROUP) {
      tile[i / VECTORS * PITCH + i % VECTORS] = key[key_at + min(s + i / VECTORS, p.keys - 1u) * p.k_n + i % VECTORS];
    }
    workgroupBarrier();
    //#for i in QUERIES
    //#for j in OWN
    var t${i}_$j = 0.0;
    //#end
    //#end
    for (var c = 0u; c < VECTORS; c++) {
      //#for i in QUERIES
      let q$i = vec4<f32>(queries[(mine + ${i}u) * VECTORS + c]);
      //#end
      //#for j in OWN
      {
        let e = vec4<f32>(tile[(lane + ${j}u * LANES) * PITCH + c]);
        //#for i in QUERIES
        t${i}_$j += dot(q$i, e);
        //#end
      }
      //#end
    }
    //#for j in OWN
    {
      let n = s + lane + ${j}u * LANES;
      //#for i in QUERIES
      //#if bias
      t${i}_$j = fma(bias[bias_row$i + min(n, p.keys - 1u) * p.bias_s], LOG2E, t${i}_$j);
      //#end
      t${i}_$j = select(-2e30, t${i}_$j, n < p.keys);
      //#end
    }
    //#end
    //#for i in QUERIES
    {
      var most = t${i}_0;
      //#for j in OWN
      most = max(most, t${i}_$j);
      //#end
      lanes[(mine + ${i}u) * LANES + lane] = most;
    }
    //#end
    workgroupBarrier();
    for (var i = me; i < KEYS * VECTORS; i += WORKGROUP) {
      tile[i / VECTORS * PITCH + i % VECTORS] = value[value_at + min(s + i / VECTORS, p.keys - 1u) * p.v_n + i % VECTORS];
    }
    //#for i in QUERIES
    {
      var most = m$i;
      for (var j = 0u; j < LANES; j++) { most = max(most, lanes[(mine + ${i}u) * LANES + j]); }
      let r = exp2(m$i - most);
      m$i = most;
      l$i *= r;
      //#for c in COLUMNS
      o${i}_$c *= r;
      //#end
      //#for j in OWN
      t${i}_$j = exp2(t${i}_$j - most);
      l$i += t${i}_$j;
      weights[(mine + ${i}u) * KEYS + lane + ${j}u * LANES] = t${i}_$j;
      //#end
    }
    //#end
    workgroupBarrier();
    for (var j = 0u; j < KEYS; j++) {
      //#for i in QUERIES
      let w$i = weights[(mine + ${i}u) * KEYS + j];
      //#end
      //#for c in COLUMNS
      {
        let e = vec4<f32>(tile[j * PITCH + min(lane + ${c}u * LANES, VECTORS - 1u)]);
        //#for i in QUERIES
        o${i}_$c += w$i * e;
        //#end
      }
      //#end
    }
  }
  workgroupBarrier();
  //#for i in QUERIES
  lanes[(mine + ${i}u) * LANES + lane] = l$i;
  //#end
  workgroupBarrier();
  //#for i in QUERIES
  if (first + mine + ${i}u < p.queries) {
    l$i = 0.0;
    for (var j = 0u; j < LANES; j++) { l$i += lanes[(mine + ${i}u) * LANES + j]; }
    let at = ((group.z * p.queries + first + mine + ${i}u) * p.heads + group.y) * VECTORS;
    //#for c in COLUMNS
    if (lane + ${c}u * LANES < VECTORS) { y[at + lane + ${c}u * LANES] = stored(o${i}_$c / l$i); }
    //#end
  }
  //#end
}
