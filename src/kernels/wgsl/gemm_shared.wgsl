// HEIGHT × SIDE to a workgroup, which takes DEEP vectors of inputs at a time into its own memory. The rows of an invocation lie SIDES
// apart, its outputs are two runs of four. Neighbours read neighbours from there, so the first outputs of all runs come first, then the
// second ones; rows more than there are (pitches) make them write to different banks.
var<workgroup> xs: array<vec4<f32>, $xs>;
var<workgroup> ws: array<vec4<f32>, $ws>;

// Where output `o` lies.
fn slot(o: u32) -> u32 { return o % 4u * RUNS + o / 4u; }

@compute @workgroup_size($width, $height)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  let first_col = group.x * SIDE;
  let first_row = (group.y + group.z * groups.y) * HEIGHT;
  let units = p.groups * p.group;
  let depth = units * VECTORS;
  // Where what this invocation loads goes.
  let x_to = me % DEEP * X_PITCH + me / DEEP;
  let w_to = me % UNITS * VECTORS * W_PITCH + slot(me / UNITS);
  var sum: array<f32, $sums>;
  for (var k = 0u; k < depth; k += DEEP) {
    //#for n in X_LOADS
    {
      let i = me + ${n}u * INVOCATIONS;
      let row = min(first_row + i / DEEP, p.rows - 1u);
      let q = k + i % DEEP;
      let v = select($element(), x[row * depth + min(q, depth - 1u)], q < depth);
      xs[x_to + ${n}u * (INVOCATIONS / DEEP)] = vec4<f32>(v);
    }
    //#end
    // What a weight beyond the last is taken for does not matter: the row's value there is 0.
    //#for n in W_LOADS
    {
      let i = me + ${n}u * INVOCATIONS;
      let col = min(first_col + i / UNITS, p.outputs - 1u);
      let u = min(k / VECTORS + i % UNITS, units - 1u);
      let w = weight[col * units + u];
      //#if scaled
      let s = scale(col * p.groups + u / p.group);
      //#else
      let s = 1.0;
      //#end
      //#for v in VECTORS
      ws[w_to + ${v}u * W_PITCH + ${n}u * (INVOCATIONS / UNITS / 4u)] = vector(w, ${v}u, s);
      //#end
    }
    //#end
    workgroupBarrier();
    for (var q = 0u; q < DEEP; q++) {
      //#for i in ROWS
      let a$i = xs[q * X_PITCH + at.y + ${i}u * SIDES];
      //#end
      //#for j in TILE
      {
        let b = ws[q * W_PITCH + at.x + ${j}u % 4u * RUNS + ${j}u / 4u * (SIDE / 8u)];
        //#for i in ROWS
        sum[${i}u * TILE + ${j}u] += dot(a$i, b);
        //#end
      }
      //#end
    }
    workgroupBarrier();
  }
  //#for i in ROWS
  if (first_row + at.y + ${i}u * SIDES < p.rows) {
    let row = row_at(first_row + at.y + ${i}u * SIDES);
    //#for h in 2
    {
      let col = first_col + at.x * 4u + ${h}u * (SIDE / 2u);
      let s = ${i}u * TILE + ${h}u * 4u;
      //#if wide
      if (col < p.outputs) { put(row, col, vec4<f32>(sum[s], sum[s + 1u], sum[s + 2u], sum[s + 3u])); }
      //#else
      //#for c in 4
      if (col + ${c}u < p.outputs) { put(row, col + ${c}u, sum[s + ${c}u]); }
      //#end
      //#end
    }
    //#end
  }
  //#end
}
