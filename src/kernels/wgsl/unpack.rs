//! The shader that turns a packed matrix into plain numbers.

use super::Shader;
use super::format::{self, Format};
use super::template::Template;

pub const WORKGROUP: usize = 64;

/// A unit to an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnpackShader {
    pub format: Format,
}

impl Shader for UnpackShader {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let template = Template::new(&[include_str!("unpack.wgsl"), format::FUNCTIONS]);
        self.format.fill(template).set("workgroup", WORKGROUP).set("unit", self.format.unit()).render()
    }
}
