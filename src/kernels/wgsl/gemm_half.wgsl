// HEIGHT × SIDE to a workgroup, outer products in packed f16: a row's value times four neighbouring outputs' weights. Sums of SUMMED
// inputs are f16, their sums f32. Rows and outputs lie by four in a vector, an input after the other.
var<workgroup> xs: array<vec4<f16>, $xs>;
var<workgroup> ws: array<vec4<f16>, $ws>;

fn four(v: $element) -> vec4<f16> { return $from_x; }

//#if !f32
// The low halves of two words in one, and their high halves.
fn halves(a: u32, b: u32) -> vec2<u32> { return vec2<u32>((a & 0xffffu) | (b << 16u), (a >> 16u) | (b & 0xffff0000u)); }

// Two f16 of each: four neighbouring outputs of one input.
fn together(ab: u32, cd: u32) -> vec4<f16> { return vec4<f16>(vec4<f32>(unpack2x16float(ab), unpack2x16float(cd))); }
//#end
//#if scaled
// Four integers in 16 bits each: 1024 + n is the f16 whose low bits n is. Scaled so that none is beyond 1, for sums of
// f16 end at 65,504; the scale is made up for in the sums.
fn fraction(ab: u32, cd: u32) -> vec4<f16> {
  return fma(together((ab & ${mask}u) | 0x64006400u, (cd & ${mask}u) | 0x64006400u), vec4<f16>($step), vec4<f16>($zero));
}
//#end

@compute @workgroup_size($width, $height)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) at: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {
  let first_col = group.x * SIDE;
  let first_row = (group.y + group.z * groups.y) * HEIGHT;
  let units = p.groups * p.group;
  let depth = units * VECTORS;
  // Of row 4f + c and the four outputs j.
  //#for f in ROW_FOURS
  //#for c in 4
  //#for j in FOURS
  var sum$f${c}_$j = vec4<f32>();
  //#end
  //#end
  //#end
  for (var k = 0u; k < depth; k += DEEP / 4u) {
    //#for n in X_LOADS
    {
      let i = me + ${n}u * INVOCATIONS;
      let q = k + i % (DEEP / 4u);
      let row = first_row + i / (DEEP / 4u) * 4u;
      //#for c in 4
      let v$c = four(select($element(), x[min(row + ${c}u, p.rows - 1u) * depth + min(q, depth - 1u)], q < depth));
      //#end
      let to = i % (DEEP / 4u) * 4u * X_PITCH + i / (DEEP / 4u);
      //#for c in 4
      xs[to + ${c}u * X_PITCH] = vec4<f16>(v0[$c], v1[$c], v2[$c], v3[$c]);
      //#end
    }
    //#end
    // What a weight beyond the last is taken for does not matter: the row's value there is 0.
    //#for n in W_LOADS
    {
      let i = me + ${n}u * INVOCATIONS;
      let u = min(k / VECTORS + i % UNITS, units - 1u);
      let col = first_col + i / UNITS * 4u;
      //#for c in 4
      let w$c = weight[min(col + ${c}u, p.outputs - 1u) * units + u];
      //#end
      let to = i % UNITS * 4u * VECTORS * W_PITCH + i / UNITS;
      //#if f32
      //#for c in 4
      ws[to + ${c}u * W_PITCH] = vec4<f16>(vec4<f32>(w0[$c], w1[$c], w2[$c], w3[$c]));
      //#end
      //#end
      //#if f16
      //#for c in 2
      let ab$c = halves(w0[$c], w1[$c]);
      let cd$c = halves(w2[$c], w3[$c]);
      ws[to + ${c}u * 2u * W_PITCH] = together(ab$c.x, cd$c.x);
      ws[to + (${c}u * 2u + 1u) * W_PITCH] = together(ab$c.y, cd$c.y);
      //#end
      //#end
      //#if scaled
      // Two's complement, from 0 on.
      let ab = halves(w0 ^ ${signs}u, w1 ^ ${signs}u);
      let cd = halves(w2 ^ ${signs}u, w3 ^ ${signs}u);
      //#for c in PER_HALF
      ws[to + ${c}u * W_PITCH] = fraction(ab.x >> (${c}u * ${bits}u), cd.x >> (${c}u * ${bits}u));
      ws[to + (${c}u + PER_HALF) * W_PITCH] = fraction(ab.y >> (${c}u * ${bits}u), cd.y >> (${c}u * ${bits}u));
      //#end
      //#end
    }
    //#end
    workgroupBarrier();
    //#for j in FOURS
    //#if scaled
    let col$j = first_col + (at.x + ${j}u * SIDES) * 4u;
    let s$j = $factor.0 * vec4<f32>(
      //#for c in 4
      scale(min(col$j + ${c}u, p.outputs - 1u) * p.groups + k / VECTORS / p.group),
      //#end
    );
    //#else
    let s$j = 1.0;
    //#end
    //#end
    //#for g in SUMS
    {
      //#for f in ROW_FOURS
      //#for c in 4
      //#for j in FOURS
      var part$f${c}_$j = vec4<f16>();
      //#end
      //#end
      //#end
      for (var q = ${g}u * SUMMED; q < (${g}u + 1u) * SUMMED; q++) {
        //#for j in FOURS
        let b$j = ws[q * W_PITCH + at.x + ${j}u * SIDES];
        //#end
        //#for f in ROW_FOURS
        let a$f = xs[q * X_PITCH + at.y * ROW_FOURS + ${f}u];
        //#end
        //#for f in ROW_FOURS
        //#for c in 4
        //#for j in FOURS
        part$f${c}_$j = fma(vec4<f16>(a$f[$c]), b$j, part$f${c}_$j);
        //#end
        //#end
        //#end
      }
      //#for f in ROW_FOURS
      //#for c in 4
      //#for j in FOURS
      sum$f${c}_$j += vec4<f32>(part$f${c}_$j) * s$j;
      //#end
      //#end
      //#end
    }
    //#end
    workgroupBarrier();
  }
  //#for f in ROW_FOURS
  //#for c in 4
  if (first_row + at.y * ROW_FOURS * 4u + ${f}u * 4u + ${c}u < p.rows) {
    let row = row_at(first_row + at.y * ROW_FOURS * 4u + ${f}u * 4u + ${c}u);
    //#for j in FOURS
    if (first_col + (at.x + ${j}u * SIDES) * 4u < p.outputs) { put(row, first_col + (at.x + ${j}u * SIDES) * 4u, sum$f${c}_$j); }
    //#end
  }
  //#end
  //#end
}
