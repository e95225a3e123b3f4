//! The shader that turns f32 into f16, or f16 into f32.

use super::template::Template;
use super::{Scalar, Shader};

pub const WORKGROUP: usize = 64;

/// Four values to an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CastShader {
    pub from: Scalar,
    pub to: Scalar,
}

impl Shader for CastShader {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        Template::new(&[include_str!("cast.wgsl")])
            .enable(Scalar::enable_any(&[self.from, self.to]))
            .set("workgroup", WORKGROUP)
            .set("from", self.from.lanes(4))
            .set("to", self.to.lanes(4))
            .set("stored", self.to.stored(4, "v"))
            .render()
    }
}
