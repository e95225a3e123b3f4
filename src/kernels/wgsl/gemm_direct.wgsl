// TILE × TILE to an invocation, which reads what it needs itself.
@compute @workgroup_size($width, $height)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>,
) {
  let col = group.x * OUTPUTS + at.x * TILE;
  let row = (group.y + group.z * groups.y) * ROWS + at.y * TILE;
  if (row >= p.rows || col >= p.outputs) { return; }
  //#for i in TILE
  let a_row$i = min(row + ${i}u, p.rows - 1u) * p.groups * p.group * VECTORS;
  let b_row$i = min(col + ${i}u, p.outputs - 1u) * p.groups;
  //#end
  var sum: array<f32, $sums>;
  for (var g = 0u; g < p.groups; g++) {
    //#for j in TILE
    //#if scaled
    let s$j = scale(b_row$j + g);
    //#else
    let s$j = 1.0;
    //#end
    //#end
    for (var k = g * p.group; k < (g + 1u) * p.group; k++) {
      //#for j in TILE
      let w$j = weight[b_row$j * p.group + k];
      //#end
      //#for v in VECTORS
      {
        //#for i in TILE
        let a$i = $lanes(x[a_row$i + k * VECTORS + ${v}u]);
        //#end
        //#for j in TILE
        {
          //#if vector
          let b = vector(w$j, ${v}u, s$j);
          //#for i in TILE
          sum[${i}u * TILE + ${j}u] += dot(a$i, b);
          //#end
          //#else
          //#for i in TILE
          sum[${i}u * TILE + ${j}u] += a$i * w$j;
          //#end
          //#end
        }
        //#end
      }
      //#end
    }
  }
  // Indexed in a loop, which would keep the sums themselves out of registers. Written out it compiles for seconds on the CPUs that this
  // tile is for.
  let done = sum;
  let height = min(p.rows - row, TILE);
  let width = min(p.outputs - col, TILE);
  for (var i = 0u; i < height; i++) {
    let to = row_at(row + i);
    for (var j = 0u; j < width; j += WIDE) {
      let s = i * TILE + j;
      //#if wide
      put(to, col + j, vec4<f32>(done[s], done[s + 1u], done[s + 2u], done[s + 3u]));
      //#else
      put(to, col + j, done[s]);
      //#end
    }
  }
}
