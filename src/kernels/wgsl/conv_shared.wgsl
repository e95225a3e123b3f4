// SIDE cells × SIDE channels to a workgroup. Cells and channels of an invocation lie SIDES apart, so that neighbours read neighbours
// from the workgroup's memory.
var<workgroup> xs: array<vec4<f32>, $memory>;
var<workgroup> ws: array<vec4<f32>, $memory>;
// Of each cell the first row of its image, and the row and the column of x that the window begins at.
var<workgroup> origins: array<vec3<u32>, SIDE>;
// Where x has no value.
const NOWHERE = 0xffffffffu;

@compute @workgroup_size($sides, $sides)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  // Over a doubled map, stops of even rows and columns meet other weights than odd ones: a tile is of one kind.
  let tile = group.y + group.z * groups.y;
  let odd = vec2<u32>(tile / ZOOM, tile) % ZOOM;
  let first = tile / (ZOOM * ZOOM) * SIDE;
  // What this invocation loads: of some cells one vector of channels, and of some tiles of weights, too.
  let xq = me % DEEP;
  let wq = me / TILE % DEEP;
  if (me < SIDE) {
    let rows = p.rows / ZOOM;
    let columns = p.columns / ZOOM;
    let cells = p.images * rows * columns;
    // Unsigned: what lies before the map is far behind it. So is, from the start, what lies behind the last cell.
    let cell = first + me;
    let row = select(p.height, cell / columns % rows * STRIDE + odd.x - ABOVE, cell < cells);
    origins[me] = vec3<u32>(cell / columns / rows * p.height, row, cell % columns * STRIDE + odd.y - LEFT);
  }
  workgroupBarrier();
  var sum: array<f32, $sums>;
  for (var k = 0u; k < REACH * REACH; k++) {
    let tap = vec2<u32>(k / REACH, k % REACH);
    //#for n in LOADS
    let origin$n = origins[me / DEEP + ${n}u * SIDE / LOADS];
    let x$n = select(
      NOWHERE,
      ((origin$n.x + origin$n.y + tap.x) * p.width + origin$n.z + tap.y) * p.units,
      origin$n.y + tap.x < p.height && origin$n.z + tap.y < p.width,
    );
    //#end
    for (var c = 0u; c < p.units; c += DEEP) {
      // What a weight beyond the last is taken for does not matter: the cells' values there are 0.
      let kind = vec2<u32>(tile / ZOOM, tile) % ZOOM * REACH + vec2<u32>(k / REACH, k % REACH);
      let w_at = ((kind.x * p.units + min(c + wq, p.units - 1u)) * WEIGHTS + kind.y) * TILE + me % TILE;
      //#for n in LOADS
      {
        let w_tile = min(group.x * SIDES + me / (TILE * DEEP) + ${n}u * SIDES / LOADS, (p.outputs - 1u) / TILE);
        xs[xq * PITCH + me / DEEP + ${n}u * SIDE / LOADS] =
          select(vec4<f32>(), x[select(0u, x$n, x$n != NOWHERE) + min(c + xq, p.units - 1u)], x$n != NOWHERE && c + xq < p.units);
        ws[wq * PITCH + me / (TILE * DEEP) * TILE + me % TILE + ${n}u * SIDE / LOADS] = weight_at(w_at + w_tile * (p.units * WEIGHTS * WEIGHTS * TILE));
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
          sum[${i}u * TILE + ${j}u] += dot(a$i, b);
          //#end
        }
        //#end
      }
      workgroupBarrier();
    }
  }
  //#for i in TILE
  if (tile / (ZOOM * ZOOM) * SIDE + at.y + ${i}u * SIDES < p.images * (p.rows / ZOOM) * (p.columns / ZOOM)) {
    let cell = tile / (ZOOM * ZOOM) * SIDE + at.y + ${i}u * SIDES;
    let row = cell / (p.columns / ZOOM) * ZOOM + tile / ZOOM % ZOOM; // of all images
    let pixel = row * p.columns + cell % (p.columns / ZOOM) * ZOOM + tile % ZOOM;
    //#for j in TILE
    if (group.x * SIDE + at.x + ${j}u * SIDES < p.outputs) {
      put(pixel, group.x * SIDE + at.x + ${j}u * SIDES, sum[${i}u * TILE + ${j}u]);
    }
    //#end
  }
  //#end
}
