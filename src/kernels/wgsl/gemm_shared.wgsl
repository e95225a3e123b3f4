// SIDE × SIDE to a workgroup, which takes DEEP vectors of inputs at a time into its own memory. Rows and outputs of an invocation lie
// SIDES apart, so that neighbours read neighbours from there; a row more than there is (PITCH) makes them write to different banks.
var<workgroup> xs: array<$value, $memory>;
var<workgroup> ws: array<$value, $memory>;

@compute @workgroup_size($width, $height)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  let first_col = group.x * SIDE;
  let first_row = (group.y + group.z * groups.y) * SIDE;
  let units = p.groups * p.group;
  let depth = units * VECTORS;
  var sum: array<f32, $sums>;
  for (var k = 0u; k < depth; k += DEEP) {
    //#for n in X_LOADS
    {
      let i = me + ${n}u * INVOCATIONS;
      let row = min(first_row + i / DEEP, p.rows - 1u);
      let q = k + i % DEEP;
      let v = select($element(), x[row * depth + min(q, depth - 1u)], q < depth);
      xs[i % DEEP * PITCH + i / DEEP] = $from_x;
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
      ws[(i % UNITS * VECTORS + ${v}u) * PITCH + i / UNITS] = $value(vector(w, ${v}u, s));
      //#end
    }
    //#end
    workgroupBarrier();
    for (var q = 0u; q < DEEP; q++) {
      //#for i in TILE
      let a$i = xs[q * PITCH + at.y + ${i}u * SIDES];
      //#end
      //#for j in TILE
      {
        let b = ws[q * PITCH + at.x + ${j}u * SIDES];
        //#for i in TILE
        sum[${i}u * TILE + ${j}u] += f32(dot(a$i, b));
        //#end
      }
      //#end
    }
    workgroupBarrier();
  }
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  for (var i = 0u; i < TILE; i++) {
    let row = first_row + at.y + i * SIDES;
    for (var j = 0u; j < TILE; j++) {
      let col = first_col + at.x + j * SIDES;
      if (row < p.rows && col < p.outputs) { put(row, col, done[i * TILE + j]); }
    }
  }
}
