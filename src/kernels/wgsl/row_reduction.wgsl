//#if per_workgroup
// A row to a workgroup.
var<workgroup> parts: array<f32, $workgroup>;
fn over_row(v: f32, me: u32) -> f32 {
  parts[me] = v;
  workgroupBarrier();
  for (var s = WORKGROUP / 2u; s > 0u; s >>= 1u) {
    if (me < s) { parts[me] += parts[me + s]; }
    workgroupBarrier();
  }
  let total = parts[0];
  workgroupBarrier();
  return total;
}
fn row_of(group: u32, me: u32) -> u32 { return group; }
fn first_of(me: u32) -> u32 { return me; }
const stride = WORKGROUP;
//#else
// A row to an invocation.
fn over_row(v: f32, me: u32) -> f32 { return v; }
fn row_of(group: u32, me: u32) -> u32 { return group * WORKGROUP + me; }
fn first_of(me: u32) -> u32 { return 0u; }
const stride = 1u;
//#end
