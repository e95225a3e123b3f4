//! How the kernels of a block hand values to one another: in f32, or in f16, which halves what is written and read.
//!
//! What a token is between blocks stays in f32; only normed tokens, queries, keys, values, what attention gives and the MLP's inside
//! are rounded.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::choices::{Terms, TuneKey, chosen};
use super::launch::{Buffer, Launch, launch};
use crate::kernels::wgsl::cast::{CastShader, WORKGROUP};
use crate::kernels::wgsl::{Scalar, folded};

/// BlockKey of a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockKey {
    pub width: usize,
}

impl Display for BlockKey {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "block of {}, handing on", self.width)
    }
}

impl TuneKey for BlockKey {
    type Variant = Scalar;

    const KIND: &'static str = "blocks";

    fn default_variant(self, _: bool) -> Scalar {
        Scalar::F32
    }

    fn candidates(self, terms: Terms) -> Vec<Scalar> {
        // A kernel stores four at a time.
        if terms.half && self.width.is_multiple_of(4) { vec![Scalar::F16] } else { Vec::new() }
    }

    fn accepts_from(self, _: Self, _: Scalar) -> bool {
        false
    }
}

/// What blocks of this width hand values on in: F32 or F16.
pub fn block_dtype(width: usize) -> DType {
    chosen(BlockKey { width }).dtype()
}

/// `x` as values of that type, F32 or F16: burn's cast between any two types is larger than all of our kernels. The values must be a
/// multiple of four.
pub fn cast<const D: usize>(x: Tensor<D>, to: DType) -> Tensor<D> {
    if x.dtype() == to {
        return x;
    }
    let shape = x.dims();
    let x = Buffer::packed(x);
    let y = x.beside(shape, to);
    let count = shape.iter().product::<usize>() / 4;
    let shader = CastShader { from: x.scalar(), to: Scalar::of(to) };
    let groups = folded(count.div_ceil(WORKGROUP));
    launch(shader, Launch { inputs: &[&x], outputs: &[&y], words: &[count], groups });
    y.float()
}
