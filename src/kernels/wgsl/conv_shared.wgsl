// SIDE cells × SIDE channels to a workgroup. Cells and channels of an invocation lie SIDES apart, so that neighbours read neighbours
// from the workgroup's memory.
var<workgroup> xs: array<vec4<f32>, $memory>;
var<workgroup> ws: array<vec4<f32>, $memory>;

@compute @workgroup_size($sides, $sides)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  // Over a doubled map, stops of even rows and columns meet other weights than odd ones: a tile is of one kind.
  let tile = group.y + group.z * groups.y;
  let odd = vec2<u32>(tile / ZOOM, tile) % ZOOM;
  let first = tile / (ZOOM * ZOOM) * SIDE;
  let rows = p.rows / ZOOM;
  let columns = p.columns / ZOOM;
  let cells = p.images * rows * columns;
  // What this invocation loads: of some cells one vector of channels, and of some tiles of weights, too.
  let xq = me % DEEP;
  let wq = me / TILE % DEEP;
  //#for n in LOADS
  // Unsigned: what lies before the map is far behind it. So is, from the start, what lies behind the last cell.
  let cell$n = first + me / DEEP + ${n}u * SIDE / LOADS;
  let image$n = cell$n / columns / rows * p.height;
  let row$n = select(p.height, cell$n / columns % rows * STRIDE + odd.x - ABOVE, cell$n < cells);
  let column$n = cell$n % columns * STRIDE + odd.y - LEFT;
  let tile$n = min(group.x * SIDES + me / (TILE * DEEP) + ${n}u * SIDES / LOADS, (p.outputs - 1u) / TILE);
  let w$n = tile$n * p.units * (WEIGHTS * WEIGHTS * TILE) + me % TILE;
  //#end
  var sum: array<f32, $sums>;
  for (var k = 0u; k < REACH * REACH; k++) {
    let tap = vec2<u32>(k / REACH, k % REACH);
    let kind = odd * REACH + tap;
    //#for n in LOADS
    let real$n = row$n + tap.x < p.height && column$n + tap.y < p.width;
    let x$n = select(0u, ((image$n + row$n + tap.x) * p.width + column$n + tap.y) * p.units, real$n);
    //#end
    for (var c = 0u; c < p.units; c += DEEP) {
      // What a weight beyond the last is taken for does not matter: the cells' values there are 0.
      let w_at = ((kind.x * p.units + min(c + wq, p.units - 1u)) * WEIGHTS + kind.y) * TILE;
      //#for n in LOADS
      xs[xq * PITCH + me / DEEP + ${n}u * SIDE / LOADS] =
        select(vec4<f32>(), x[x$n + min(c + xq, p.units - 1u)], real$n && c + xq < p.units);
      ws[wq * PITCH + me / (TILE * DEEP) * TILE + me % TILE + ${n}u * SIDE / LOADS] = weight[w$n + w_at];
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
          sum[${i}u * TILE + ${j}u] += dot(a$i, b);
          //#end
        }
        //#end
      }
      workgroupBarrier();
    }
  }
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  for (var i = 0u; i < TILE; i++) {
    let cell = first + at.y + i * SIDES;
    let row = cell / columns * ZOOM + odd.x; // of all images
    let column = cell % columns * ZOOM + odd.y;
    for (var j = 0u; j < TILE; j++) {
      let channel = group.x * SIDE + at.x + j * SIDES;
      if (cell < cells && channel < p.outputs) { put(row * p.columns + column, channel, done[i * TILE + j]); }
    }
  }
}
