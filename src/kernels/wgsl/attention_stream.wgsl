// Each invocation streams over the keys, KEYS at a time, with a running maximum.
fn largest(x: vec4<f32>) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
//#if shared
var<workgroup> keys: array<$key, $memory>;
var<workgroup> values: array<$key, $memory>;
//#end

@compute @workgroup_size($workgroup)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) me: u32) {
  let first = id.x * QUERIES;
  let scale = bitcast<f32>(p.scale);
  //#for i in QUERIES
  let n$i = min(first + ${i}u, p.queries - 1u);
  let q_row$i = id.z * p.q_b + id.y * p.q_h + n$i * p.q_n;
  //#if bias
  let bias_row$i = id.z * p.bias_b + id.y * p.bias_h + n$i * p.bias_n;
  //#end
  //#for c in VECTORS
  let q${i}_$c = vec4<f32>(query[q_row$i + ${c}u]) * scale;
  var o${i}_$c = vec4<f32>();
  //#end
  var m$i = -1e30;
  var l$i = 0.0;
  //#end
  let key_at = id.z * p.k_b + id.y * p.k_h;
  let value_at = id.z * p.v_b + id.y * p.v_h;
  //#if shared
  for (var tile = 0u; tile < p.keys; tile += DEEP) {
    workgroupBarrier();
    for (var i = me; i < DEEP * VECTORS; i += WORKGROUP) {
      let token = min(tile + i / VECTORS, p.keys - 1u);
      keys[i] = key[key_at + token * p.k_n + i % VECTORS];
      values[i] = value[value_at + token * p.v_n + i % VECTORS];
    }
    workgroupBarrier();
    let end = min(tile + DEEP, p.keys);
  //#else
  {
    let tile = 0u;
    let end = p.keys;
  //#end
    for (var s = tile; s < end; s += KEYS) {
      // Where the key s + j and its value begin.
      //#for j in KEYS
      //#if shared
      let key_row$j = (s - tile + ${j}u) * VECTORS;
      let value_row$j = key_row$j;
      //#else
      let token$j = min(s + ${j}u, p.keys - 1u);
      let key_row$j = key_at + token$j * p.k_n;
      let value_row$j = value_at + token$j * p.v_n;
      //#end
      //#end
      //#for i in QUERIES
      var t$i = vec4<f32>();
      //#end
      //#for c in VECTORS
      {
        //#for j in KEYS
        let e$j = vec4<f32>($keys[key_row$j + ${c}u]);
        //#end
        //#for i in QUERIES
        t$i += vec4<f32>(dot(q${i}_$c, e0), dot(q${i}_$c, e1), dot(q${i}_$c, e2), dot(q${i}_$c, e3));
        //#end
      }
      //#end
      let real = vec4<u32>(s, s + 1u, s + 2u, s + 3u) < vec4<u32>(p.keys);
      //#if bias
      let at = min(vec4<u32>(s, s + 1u, s + 2u, s + 3u), vec4<u32>(p.keys - 1u)) * p.bias_s;
      //#end
      //#for i in QUERIES
      //#if bias
      t$i += vec4<f32>(bias[bias_row$i + at.x], bias[bias_row$i + at.y], bias[bias_row$i + at.z], bias[bias_row$i + at.w]);
      //#end
      t$i = select(vec4<f32>(-1e30), t$i, real);
      let r$i = exp(m$i - max(m$i, largest(t$i)));
      m$i = max(m$i, largest(t$i));
      let w$i = select(vec4<f32>(), exp(t$i - m$i), real);
      l$i = l$i * r$i + dot(w$i, vec4<f32>(1.0));
      //#end
      //#for c in VECTORS
      {
        //#for j in KEYS
        let e$j = vec4<f32>($values[value_row$j + ${c}u]);
        //#end
        //#for i in QUERIES
        o${i}_$c = o${i}_$c * r$i + w$i.x * e0 + w$i.y * e1 + w$i.z * e2 + w$i.w * e3;
        //#end
      }
      //#end
    }
  }
  //#for i in QUERIES
  if (first + ${i}u < p.queries) {
    let at = ((id.z * p.queries + first + ${i}u) * p.heads + id.y) * VECTORS;
    //#for c in VECTORS
    y[at + ${c}u] = stored(o${i}_$c / l$i);
    //#end
  }
  //#end
}
