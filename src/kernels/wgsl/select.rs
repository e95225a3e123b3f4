//! Shaders of a router: scores of all tokens, radix selection of the k-th, then compaction in order.

use super::Shader;
use super::template::Template;

const WORKGROUP: usize = 256;
/// Tokens of a workgroup of [`ScoreShader`], and the invocations that share out one.
pub const TOKENS: usize = 4;
const LANES: usize = 16;

/// Scores `[B, N]`; where all tokens are kept, also their indices and who is selected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScoreShader {
    pub all: bool,
}

/// Selection by scores: its own, or those that [`ScoreShader`] wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SelectShader {
    pub scored: bool,
}

impl Shader for ScoreShader {
    fn workgroup(&self) -> [u32; 3] {
        [(TOKENS * LANES) as u32, 1, 1]
    }

    fn source(&self) -> String {
        Template::new(&[include_str!("score.wgsl")])
            .constant("TOKENS", TOKENS)
            .constant("LANES", LANES)
            .set("workgroup", TOKENS * LANES)
            .when("all", self.all)
            .render()
    }
}

impl Shader for SelectShader {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        Template::new(&[include_str!("select.wgsl")])
            .constant("WORKGROUP", WORKGROUP)
            .set("workgroup", WORKGROUP)
            .when("scored", self.scored)
            .render()
    }
}
