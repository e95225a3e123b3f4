//! How kernels that sum over rows share them out.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::norm::modulated_norm_in;
use super::timings::{All, Class, Rounding, Timing};
use super::tune::{Contest, input};
use crate::kernels::Row;

/// Values of all rows for which the choice is worth its time.
const LARGE: usize = 1 << 20;
/// Error, of the largest value, up to which a way may be chosen.
const ERROR: f64 = 1e-4;

/// How rows are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Share {
    /// A row to an invocation, which needs no barrier.
    Alone,
    /// A row to a workgroup.
    Together,
}

impl Share {
    pub const ALL: [Self; 2] = [Self::Alone, Self::Together];

    pub const fn workgroup(self) -> usize {
        match self {
            Self::Alone => 32,
            Self::Together => 64,
        }
    }

    /// Workgroups that so many rows take; a dimension holds at most 65,535.
    pub fn groups(self, rows: usize) -> [usize; 3] {
        let groups = if self == Self::Alone { rows.div_ceil(self.workgroup()) } else { rows };
        [groups.min(65_535), groups.div_ceil(65_535), 1]
    }

    /// WGSL: the function `over_row(v, me)`, the sum of `v` over who shares a row.
    pub fn sum(self) -> String {
        match self {
            Self::Alone => "fn over_row(v: f32, me: u32) -> f32 { return v; }".into(),
            Self::Together => format!(
                "
var<workgroup> parts: array<f32, {count}>;
fn over_row(v: f32, me: u32) -> f32 {{
  parts[me] = v;
  workgroupBarrier();
  for (var s = {half}u; s > 0u; s >>= 1u) {{
    if (me < s) {{ parts[me] += parts[me + s]; }}
    workgroupBarrier();
  }}
  let total = parts[0];
  workgroupBarrier();
  return total;
}}",
                count = self.workgroup(),
                half = self.workgroup() / 2
            ),
        }
    }

    /// WGSL: the entry point up to `row`, its own, with `first` and `stride`, what of the row an invocation takes.
    pub fn opening(self) -> String {
        let (row, first, stride) = match self {
            Self::Alone => (format!("group * {}u + me", self.workgroup()), "0u", "1u".to_string()),
            Self::Together => ("group".into(), "me", format!("{}u", self.workgroup())),
        };
        format!(
            "
@compute @workgroup_size({count})
fn main(
  @builtin(workgroup_id) at: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) me: u32,
) {{
  let group = at.x + at.y * groups.x;
  let row = {row};
  let first = {first};
  let stride = {stride};
  if (row >= p.rows) {{ return; }}",
            count = self.workgroup(),
        )
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "alone",
            Self::Together => "together",
        })
    }
}

/// Norms of rows so wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Width {
    pub width: usize,
}

impl Display for Width {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "norm of {}", self.width)
    }
}

impl Class for Width {
    type Way = Share;

    const KIND: &'static str = "norms";

    fn usual(self) -> Share {
        Share::Alone
    }

    fn others(self, _: Rounding) -> Vec<Share> {
        vec![Share::Together]
    }

    fn borrows(self, _: Self, _: Share) -> bool {
        true
    }

    fn table(all: &mut All) -> &mut Vec<Timing<Self>> {
        &mut all.norms
    }
}

/// The norms of a block.
#[derive(Debug, Clone, Copy)]
pub struct Norms {
    pub width: usize,
    pub rows: usize,
}

impl Contest for Norms {
    type Class = Width;
    /// And the table of shift and scale.
    type Input = [Tensor<3>; 2];

    fn class(&self) -> Width {
        Width { width: self.width }
    }

    fn matters(&self) -> bool {
        self.width * self.rows >= LARGE
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn input(&self, rows: usize, device: &Device) -> Self::Input {
        [rows, 2].map(|rows| input([1, rows, self.width], device))
    }

    fn run(&self, way: Share, [x, table]: &Self::Input) -> Tensor<3> {
        let [shift, scale] = [0, 1].map(|row| Row { table: table.clone(), row });
        modulated_norm_in(way, x.clone(), None, shift, scale, 1e-6, DType::F32)
    }

    fn tolerance(&self, _: Share) -> f64 {
        ERROR
    }
}
