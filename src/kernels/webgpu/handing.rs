//! How the kernels of a block hand values to one another: in f32, or in f16, which halves what is written and read.
//!
//! What a token is between blocks stays in f32; only normed tokens, queries, keys, values, what attention gives and the MLP's inside
//! are rounded.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::launch::{Buffer, Scalar, Shader, launch};
use super::timings::{All, Class, Rounding, Timing, chosen};
use super::tune::{Contest, input};

/// Weights of a block's largest matrix from which the choice is worth its time.
const LARGE: usize = 1 << 20;
/// Error of a block, of the largest value, up to which f16 may be chosen.
const ERROR: f64 = 2e-3;

/// Blocks of a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocks {
    width: usize,
}

impl Display for Blocks {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "block of {}, handing on", self.width)
    }
}

impl Class for Blocks {
    type Way = Scalar;

    const KIND: &'static str = "blocks";

    fn usual(self) -> Scalar {
        Scalar::F32
    }

    fn others(self, rounding: Rounding) -> Vec<Scalar> {
        // A kernel stores four at a time.
        if rounding.half && self.width.is_multiple_of(4) { vec![Scalar::F16] } else { Vec::new() }
    }

    fn borrows(self, _: Self, _: Scalar) -> bool {
        false
    }

    fn table(all: &mut All) -> &mut Vec<Timing<Self>> {
        &mut all.blocks
    }
}

/// What blocks of this width hand values on in: F32 or F16.
pub fn handed(width: usize) -> DType {
    chosen(Blocks { width }).dtype()
}

/// `x` as values of that type, F32 or F16: burn's cast between any two types is larger than all of our kernels. The values must be a
/// multiple of four.
pub fn hand<const D: usize>(x: Tensor<D>, to: DType) -> Tensor<D> {
    if x.dtype() == to {
        return x;
    }
    let shape = x.dims();
    let x = Buffer::packed(x);
    let y = x.beside(shape, to);
    let count = shape.iter().product::<usize>() / 4;
    let groups = count.div_ceil(WORKGROUP);
    let shader = Hand { from: x.scalar(), to: Scalar::of(to) };
    launch(shader, &[&x], &[&y], &[count], [groups.min(65_535), groups.div_ceil(65_535), 1]);
    y.float()
}

const WORKGROUP: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Hand {
    from: Scalar,
    to: Scalar,
}

impl Shader for Hand {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        format!(
            "
{enable}
struct P {{ count: u32 }}
@group(0) @binding(0) var<storage, read> x: array<{from}>;
@group(0) @binding(1) var<storage, read_write> y: array<{to}>;
@group(0) @binding(2) var<uniform> p: P;

@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let i = id.x + id.y * groups.x * {WORKGROUP}u;
  if (i >= p.count) {{ return; }}
  let v = vec4<f32>(x[i]);
  y[i] = {stored};
}}",
            enable = Scalar::enable_any(&[self.from, self.to]),
            from = self.from.lanes(4),
            to = self.to.lanes(4),
            stored = self.to.stored(4, "v"),
        )
    }
}

/// A block that can be tried.
pub struct Trial<'a> {
    pub width: usize,
    /// Tokens of an image.
    pub tokens: usize,
    /// Tokens `[1, N, D]` after the block, where it hands on values of that type.
    pub run: Box<dyn Fn(Tensor<3>, DType) -> Tensor<3> + 'a>,
}

impl Contest for Trial<'_> {
    type Class = Blocks;
    type Input = Tensor<3>;

    fn class(&self) -> Blocks {
        Blocks { width: self.width }
    }

    fn matters(&self) -> bool {
        4 * self.width * self.width >= LARGE
    }

    fn rows(&self) -> usize {
        self.tokens
    }

    fn input(&self, rows: usize, device: &Device) -> Tensor<3> {
        input([1, rows, self.width], device)
    }

    fn run(&self, way: Scalar, x: &Tensor<3>) -> Tensor<3> {
        (self.run)(x.clone(), way.dtype())
    }

    fn tolerance(&self, _: Scalar) -> f64 {
        ERROR
    }
}
