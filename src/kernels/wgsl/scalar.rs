//! How the numbers of a buffer are stored; all are f32 where they are reckoned with.

use core::fmt::{self, Display, Formatter};

use burn::tensor::DType;
use serde::{Deserialize, Serialize};

/// F32 or f16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scalar {
    #[default]
    F32,
    F16,
}

impl Scalar {
    /// Of a tensor, which is of either.
    pub fn of(dtype: DType) -> Self {
        if dtype == DType::F16 { Self::F16 } else { Self::F32 }
    }

    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
        }
    }

    /// Of so many values, as they are stored.
    pub fn bytes(self, count: usize) -> usize {
        count * self.dtype().size()
    }

    /// WGSL's type of what a load takes, of one or four.
    pub fn lanes(self, count: usize) -> &'static str {
        match (self, count) {
            (Self::F32, 1) => "f32",
            (Self::F16, 1) => "f16",
            (Self::F32, _) => "vec4<f32>",
            (Self::F16, _) => "vec4<f16>",
        }
    }

    /// The f32 value `v`, one or four, as it is stored.
    pub fn stored(self, count: usize, v: &str) -> String {
        match (self, count) {
            (Self::F32, _) => v.into(),
            // Beyond f16's largest number lies infinity, and its difference is none.
            (Self::F16, 1) => format!("f16(clamp({v}, -65504.0, 65504.0))"),
            (Self::F16, _) => format!("vec4<f16>(clamp({v}, vec4<f32>(-65504.0), vec4<f32>(65504.0)))"),
        }
    }

    /// What a shader with such buffers opens with.
    pub fn enable(self) -> &'static str {
        if self == Self::F16 { "enable f16;" } else { "" }
    }

    /// [`Scalar::enable`] of several.
    pub fn enable_any(all: &[Self]) -> &'static str {
        if all.contains(&Self::F16) { Self::F16.enable() } else { "" }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(self.lanes(1))
    }
}
