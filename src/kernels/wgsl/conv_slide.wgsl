// COLUMNS of a row × CHANNELS to an invocation.
fn product(a: f32, b: f32) -> f32 { return a * b; }

@compute @workgroup_size($width, $height)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let channel = id.x * CHANNELS;
  let across = (p.columns + COLUMNS - 1u) / COLUMNS;
  let tile = id.y + id.z * groups.y * DOWN;
  let first = tile % across * COLUMNS;
  let line = tile / across; // of all images
  if (channel >= p.outputs || line >= p.images * p.rows) { return; }
  let row = line % p.rows;
  let image = line / p.rows * p.height;
  // The first row and column of the map that a stop meets. Unsigned: what lies before the map is far behind it.
  //#if doubled
  let top = (row + 1u) / 2u - ABOVE;
  let column = first / 2u - LEFT;
  let kind = (row & 1u) * 2u;
  //#else
  let top = row * STRIDE - ABOVE;
  let column = first * STRIDE - LEFT;
  let kind = 0u;
  //#end
  //#for n in MET
  let real$n = column + ${n}u < p.width;
  let x$n = min(column + ${n}u, p.width - 1u) * p.units;
  //#end
  var sum: array<f32, $sums>;
  for (var k = 0u; k < REACH; k++) {
    let from_row = top + k;
    if (from_row < p.height) {
      let line_at = (image + from_row) * p.width * p.units;
      var at = (id.x * WEIGHTS + kind + k) * p.units * WEIGHTS * CHANNELS;
      for (var c = 0u; c < p.units; c++) {
        //#for n in MET
        let a$n = select($element(), x[line_at + x$n + c], real$n);
        //#end
        //#for t in WEIGHTS
        //#for j in CHANNELS
        { let b = weight_at(at + ${t}u * CHANNELS + ${j}u); ${sums$t_$j} }
        //#end
        //#end
        at += WEIGHTS * CHANNELS;
      }
    }
  }
  // Indexed in a loop, which would keep the sums themselves out of registers.
  let done = sum;
  let wide = min(p.columns - first, COLUMNS);
  let deep = min(p.outputs - channel, CHANNELS);
  for (var i = 0u; i < wide; i++) {
    for (var j = 0u; j < deep; j++) { put(line * p.columns + first + i, channel + j, done[i * CHANNELS + j]); }
  }
}
