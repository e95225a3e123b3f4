//! How the values of a matrix lie in memory, and the WGSL that reads them.

use serde::{Deserialize, Serialize};

use super::template::Template;

/// How the values of a matrix lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    F32,
    /// Two to a word.
    F16,
    /// Four to a word, low bits first, two's complement, times the scale of their group.
    Q8,
    /// Eight to a word, as [`Format::Q8`].
    Q4,
}

/// The functions `vector` and `scale`, which read a unit of a matrix.
pub const FUNCTIONS: &str = include_str!("format.wgsl");

impl Format {
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Q8, Self::Q4];

    /// WGSL's type of a unit: what one load takes.
    pub fn unit(self) -> &'static str {
        match self {
            Self::F32 => "vec4<f32>",
            Self::F16 => "vec2<u32>",
            Self::Q8 | Self::Q4 => "u32",
        }
    }

    /// Vectors of four values in a unit.
    pub fn vectors(self) -> usize {
        if self == Self::Q4 { 2 } else { 1 }
    }

    pub fn is_scaled(self) -> bool {
        matches!(self, Self::Q8 | Self::Q4)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        }
    }

    /// Values of a 32-bit word.
    pub fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::F16 => 2,
            Self::Q8 => 4,
            Self::Q4 => 8,
        }
    }

    /// Whether a matrix with so many inputs can stay packed: in whole units, and in groups of whole units.
    pub fn fits(self, inputs: usize, group: Option<usize>) -> bool {
        match (self, group) {
            (Self::F16, _) => inputs.is_multiple_of(4),
            (Self::Q8 | Self::Q4, Some(group)) => group.is_multiple_of(8) && inputs.is_multiple_of(group),
            _ => false,
        }
    }

    /// Fills in what [`FUNCTIONS`] ask for.
    pub fn fill(self, template: Template) -> Template {
        template
            .constant("VECTORS", self.vectors())
            .when("f32", self == Self::F32)
            .when("f16", self == Self::F16)
            .when("q8", self == Self::Q8)
            .when("q4", self == Self::Q4)
            .when("scaled", self.is_scaled())
    }
}
