// TILE × TILE to a workgroup of LANES invocations, which share out the inputs: for few rows.
var<workgroup> parts: array<f32, $memory>;

@compute @workgroup_size($width, $height)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) me: u32,
) {
  let first_col = group.x * TILE;
  let first_row = (group.y + group.z * groups.y) * TILE;
  let units = p.groups * p.group;
  //#for i in TILE
  let a_row$i = min(first_row + ${i}u, p.rows - 1u) * units * VECTORS;
  let b_row$i = min(first_col + ${i}u, p.outputs - 1u);
  //#end
  var sum: array<f32, $sums>;
  for (var k = me; k < units; k += LANES) {
    //#for j in TILE
    //#if scaled
    let s$j = scale(b_row$j * p.groups + k / p.group);
    //#else
    let s$j = 1.0;
    //#end
    let w$j = weight[b_row$j * units + k];
    //#end
    //#for v in VECTORS
    {
      //#for i in TILE
      let a$i = vec4<f32>(x[a_row$i + k * VECTORS + ${v}u]);
      //#end
      //#for j in TILE
      {
        let b = vector(w$j, ${v}u, s$j);
        //#for i in TILE
        sum[${i}u * TILE + ${j}u] += dot(a$i, b);
        //#end
      }
      //#end
    }
    //#end
  }
  //#for n in SUMS
  parts[me * SUMS + ${n}u] = sum[$n];
  //#end
  workgroupBarrier();
  let row = first_row + me / TILE;
  let col = first_col + me % TILE;
  if (me < SUMS && row < p.rows && col < p.outputs) {
    var total = 0.0;
    for (var i = 0u; i < LANES; i++) { total += parts[i * SUMS + me]; }
    put(row_at(row), col, total);
  }
}
