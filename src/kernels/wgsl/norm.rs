//! Shaders of LayerNorm with its modulation, and of RMSNorm.

use super::row_reduction::{self, RowReduction};
use super::template::Template;
use super::{Scalar, Shader};

/// `LN(x) (1 + scale) + shift`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModulatedNormShader {
    /// Loads take four channels at once.
    pub vector: bool,
    pub reduction: RowReduction,
    pub y: Scalar,
}

/// `weight · x / √(mean(x²) + eps)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RmsNormShader {
    pub vector: bool,
    pub reduction: RowReduction,
}

/// WGSL's type of what is reckoned with at once, four values or one, and the sum of the values of `name`, which is of it.
pub fn lanes(vector: bool, name: &str) -> (&'static str, String) {
    if vector { ("vec4<f32>", format!("dot({name}, vec4<f32>(1.0))")) } else { ("f32", name.into()) }
}

fn template(file: &str, vector: bool, reduction: RowReduction) -> Template {
    let (element, sum) = lanes(vector, "t");
    reduction.fill(Template::new(&[row_reduction::FUNCTIONS, file])).set("element", element).set("sum", sum)
}

impl Shader for ModulatedNormShader {
    fn workgroup(&self) -> [u32; 3] {
        [self.reduction.workgroup() as u32, 1, 1]
    }

    fn source(&self) -> String {
        let count = if self.vector { 4 } else { 1 };
        template(include_str!("modulated_norm.wgsl"), self.vector, self.reduction)
            .enable(self.y.enable())
            .set("y", self.y.lanes(count))
            .set("stored", self.y.stored(count, "t"))
            .render()
    }
}

impl Shader for RmsNormShader {
    fn workgroup(&self) -> [u32; 3] {
        [self.reduction.workgroup() as u32, 1, 1]
    }

    fn source(&self) -> String {
        template(include_str!("rms_norm.wgsl"), self.vector, self.reduction).render()
    }
}
