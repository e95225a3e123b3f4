//! The shader that rounds activations to 8 bits, as [`super::gemm::Tile::Int8`] reads them.

use super::format::Format;
use super::template::Template;
use super::{Scalar, Shader};

/// Inputs that are loaded at once: two words of four. A unit next to a weight of [`Format::Q4`] gives its even ones, then its odd ones.
pub const UNIT: usize = 8;
/// Invocations of a workgroup, each with a group of a row.
pub const WORKGROUP: usize = 64;

/// Groups of rows in 8 bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuantizeShader {
    pub weight: Format,
    pub x: Scalar,
}

impl Shader for QuantizeShader {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        Template::new(&[include_str!("quantize.wgsl")])
            .enable(self.x.enable())
            .constant("UNIT", UNIT / 4)
            .set("workgroup", WORKGROUP)
            .set("element", self.x.lanes(4))
            .when("q4", self.weight == Format::Q4)
            .render()
    }
}
