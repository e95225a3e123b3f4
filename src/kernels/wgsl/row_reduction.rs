//! How kernels that sum over rows share them out.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::folded;
use super::template::Template;

/// How rows are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RowReduction {
    /// A row to an invocation, which needs no barrier.
    PerInvocation,
    /// A row to a workgroup.
    PerWorkgroup,
}

/// The function `over_row(v, me)`, the sum of `v` over who shares a row; and `first` and `stride`, what of a row an invocation takes.
pub const FUNCTIONS: &str = include_str!("row_reduction.wgsl");

impl RowReduction {
    pub const ALL: [Self; 2] = [Self::PerInvocation, Self::PerWorkgroup];

    pub const fn workgroup(self) -> usize {
        match self {
            Self::PerInvocation => 32,
            Self::PerWorkgroup => 64,
        }
    }

    /// Workgroups that so many rows take.
    pub fn groups(self, rows: usize) -> [usize; 3] {
        folded(if self == Self::PerInvocation { rows.div_ceil(self.workgroup()) } else { rows })
    }

    /// Fills in what [`FUNCTIONS`] and the shaders over rows ask for.
    pub fn fill(self, template: Template) -> Template {
        template
            .constant("WORKGROUP", self.workgroup())
            .set("workgroup", self.workgroup())
            .when("per_workgroup", self == Self::PerWorkgroup)
    }
}

impl Display for RowReduction {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::PerInvocation => "per invocation",
            Self::PerWorkgroup => "per workgroup",
        })
    }
}
