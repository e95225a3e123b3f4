//! The shaders of our kernels, made and checked without a device: each file names the variants of one shader, whose WGSL lies beside it.
//!
//! What launches them is in `kernels::webgpu`. [`template`] says how a `.wgsl` file becomes a shader.

pub mod attention;
pub mod cast;
pub mod conv;
pub mod format;
#[cfg(test)]
mod gallery;
pub mod gemm;
pub mod group_norm;
pub mod norm;
pub mod quantize;
pub mod row_reduction;
mod scalar;
pub mod select;
pub mod template;
pub mod unpack;
#[cfg(test)]
mod variants;

use core::fmt::Debug;
use core::hash::Hash;

pub use scalar::Scalar;

/// A shader with its constants: equal values have equal sources, and each is compiled once.
///
/// The entry point is `main`. Bindings are the inputs, the outputs, and a uniform struct of `u32` words.
pub trait Shader: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Invocations of a workgroup, as in the source.
    fn workgroup(&self) -> [u32; 3];
    fn source(&self) -> String;
}

/// Workgroups in three dimensions for so many in one: a dimension holds at most 65,535.
pub fn folded(groups: usize) -> [usize; 3] {
    [groups.min(65_535), groups.div_ceil(65_535), 1]
}
