// As the shared tile, the outputs of an invocation one run of four, with activations in 8 bits and integer sums inside a group of the weight, whose scales meet them after it. A
// unit is eight inputs in two words: of q4 its even ones, then its odd ones.
var<workgroup> xs: array<vec2<u32>, $xs>;
var<workgroup> ws: array<vec2<u32>, $ws>;
// Of this group and of the one before it, which some invocations may still read.
var<workgroup> x_scales: array<f32, $scales>;
var<workgroup> w_scales: array<f32, $scales>;

// Where output `o` lies.
fn slot(o: u32) -> u32 { return o % 4u * RUNS + o / 4u; }

@compute @workgroup_size($width, $height)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  let first_col = group.x * SIDE;
  let first_row = (group.y + group.z * groups.y) * SIDE;
  let units = p.groups * p.group;
  // The scales of a row, two to an element, lie behind it.
  let pitch = units + (p.groups + 1u) / 2u;
  var sum: array<f32, $sums>;
  for (var g = 0u; g < p.groups; g++) {
    // Without a value it would be cleared once and not at every turn, as Chrome has it.
    var part = array<i32, $sums>();
    let at_scales = (g & 1u) * SIDE;
    for (var k = 0u; k < p.group; k += DEEP) {
      //#for n in LOADS
      {
        let i = me + ${n}u * INVOCATIONS;
        let row = min(first_row + i / DEEP, p.rows - 1u);
        let q = k + i % DEEP;
        let v = x[row * pitch + g * p.group + min(q, p.group - 1u)];
        xs[i % DEEP * X_PITCH + i / DEEP] = select(vec2<u32>(), v, q < p.group);
      }
      //#end
      // What a weight beyond the group is taken for does not matter: the row's value there is 0.
      //#for n in LOADS
      {
        let i = me + ${n}u * INVOCATIONS;
        let col = min(first_col + i / DEEP, p.outputs - 1u);
        let w = weight[col * units + g * p.group + min(k + i % DEEP, p.group - 1u)];
        //#if q4
        // A nibble that is a byte's upper half stands for 16 times itself, sign included.
        ws[i % DEEP * W_PITCH + slot(i / DEEP)] = vec2<u32>(w << 4u, w) & vec2<u32>(0xf0f0f0f0u);
        //#else
        ws[i % DEEP * W_PITCH + slot(i / DEEP)] = w;
        //#end
      }
      //#end
      if (k == 0u && me < SIDE) {
        let pair = x[min(first_row + me, p.rows - 1u) * pitch + units + g / 2u];
        x_scales[at_scales + me] = bitcast<f32>(select(pair.x, pair.y, (g & 1u) == 1u));
        w_scales[at_scales + me] = $factor * scale(min(first_col + me, p.outputs - 1u) * p.groups + g);
      }
      workgroupBarrier();
      for (var q = 0u; q < DEEP; q++) {
        //#for i in ROWS
        let a$i = xs[q * X_PITCH + at.y + ${i}u * DOWN];
        //#end
        //#for j in OUTPUTS
        {
          let b = ws[q * W_PITCH + at.x + ${j}u * RUNS];
          //#for i in ROWS
          part[${i}u * OUTPUTS + ${j}u] += dot4I8Packed(a$i.x, b.x) + dot4I8Packed(a$i.y, b.y);
          //#end
        }
        //#end
      }
      workgroupBarrier();
    }
    //#for i in ROWS
    let f$i = x_scales[at_scales + at.y + ${i}u * DOWN];
    //#end
    //#for j in OUTPUTS
    {
      let s = w_scales[at_scales + at.x * 4u + ${j}u];
      //#for i in ROWS
      sum[${i}u * OUTPUTS + ${j}u] += f32(part[${i}u * OUTPUTS + ${j}u]) * (f$i * s);
      //#end
    }
    //#end
  }
  //#for i in ROWS
  if (first_row + at.y + ${i}u * DOWN < p.rows) {
    let row = row_at(first_row + at.y + ${i}u * DOWN);
    let col = first_col + at.x * 4u;
    let s = ${i}u * OUTPUTS;
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
