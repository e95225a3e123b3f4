//! Shaders of group normalization with the SiLU that follows it: moments of pieces, moments of groups, then the values.

use super::Shader;
use super::norm::lanes;
use super::template::Template;

pub const WORKGROUP: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Mean and sum of squared deviations of every group in every piece: groups are neighbours, so that loads are, too.
    Pieces,
    /// Mean and reciprocal of the deviation of every group.
    Groups,
    /// Every value.
    Values,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupNormShader {
    pub stage: Stage,
    /// Loads take four channels at once.
    pub vector: bool,
}

impl Shader for GroupNormShader {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let (element, sum) = lanes(self.vector, "t");
        Template::new(&[include_str!("group_norm.wgsl")])
            .set("workgroup", WORKGROUP)
            .set("element", element)
            .set("sum", sum)
            .set("first", if self.vector { ".x" } else { "" })
            .when("pieces", self.stage == Stage::Pieces)
            .when("groups", self.stage == Stage::Groups)
            .when("values", self.stage == Stage::Values)
            .render()
    }
}
