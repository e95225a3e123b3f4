//! Matrices, and weights of convolutions, that stay on the device as bundles store them, where it multiplies with such.

use super::wgsl::format::Format;

#[cfg(not(feature = "webgpu"))]
pub use self::absent::{HalfConv, PackedMatrix};
#[cfg(feature = "webgpu")]
pub use super::webgpu::{half_conv::HalfConv, packed::PackedMatrix};

/// A matrix in the words of its chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedWords {
    pub format: Format,
    /// `[out, in]`.
    pub shape: [usize; 2],
    /// Values along the input that share a scale; a row where there are no scales.
    pub group: usize,
    /// Low bits first, two's complement.
    pub words: Vec<u32>,
    /// The scales of the groups, f16 bits.
    pub scales: Vec<u16>,
}

/// In builds whose devices have no product with packed matrices.
#[cfg(not(feature = "webgpu"))]
mod absent {
    #![allow(unused_variables)] // the derived code binds a field that cannot exist

    use core::convert::Infallible;

    use burn::module::Module;
    use burn::tensor::{Device, Tensor};

    use super::PackedWords;

    /// There is none.
    #[derive(Module, Debug)]
    pub struct PackedMatrix {
        #[module(skip)]
        never: Infallible,
    }

    /// There is none.
    #[derive(Module, Debug)]
    pub struct HalfConv {
        #[module(skip)]
        never: Infallible,
    }

    impl HalfConv {
        /// Whether a weight of that shape can stay in f16 on `device`.
        pub fn is_supported(_: [usize; 4], _: &Device) -> bool {
            false
        }

        /// None: such a weight has to be unpacked.
        pub fn upload(_: [usize; 4], _: &[u16], _: &Device) -> Option<Self> {
            None
        }

        pub fn shape(&self) -> [usize; 4] {
            match self.never {}
        }

        pub fn unpack(&self) -> Tensor<4> {
            match self.never {}
        }
    }

    impl PackedMatrix {
        /// Whether matrices can stay packed on `device`.
        pub fn is_supported(_: &Device) -> bool {
            false
        }

        /// None: such a matrix has to be unpacked.
        pub fn upload(_: PackedWords, _: &Device) -> Option<Self> {
            None
        }

        pub fn shape(&self) -> [usize; 2] {
            match self.never {}
        }

        pub fn unpack(&self) -> Tensor<2> {
            match self.never {}
        }
    }
}
