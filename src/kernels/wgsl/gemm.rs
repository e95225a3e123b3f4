//! Shaders of a matrix product with what follows it: the same sums in tiles of several shapes, of which a device has its fastest.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::format::{self, Format};
use super::template::Template;
use super::{Scalar, Shader};

/// How the sums are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tile {
    /// 8 × 8 to an invocation, which reads what it needs itself.
    Direct,
    /// 64 × 64 to a workgroup, which takes 16 inputs at a time into its own memory.
    Shared,
    /// As [`Tile::Shared`], products in f16, their sums in f32.
    Half,
    /// As [`Tile::Shared`], activations in 8 bits and integer sums inside a group of the weight, which must be packed in such.
    Int8,
    /// 4 × 4 to a workgroup, which shares out the inputs: for few rows.
    Thin,
}

impl Tile {
    /// Those that give f32's own rounding.
    pub const EXACT: [Self; 3] = [Self::Direct, Self::Shared, Self::Thin];

    /// Outputs and rows of a workgroup.
    pub fn sides(self) -> [usize; 2] {
        match self {
            Self::Direct => [TILE * DIRECT[0], TILE * DIRECT[1]],
            Self::Shared | Self::Half | Self::Int8 => [SIDE, SIDE],
            Self::Thin => [THIN, THIN],
        }
    }
}

impl Display for Tile {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Shared => "shared",
            Self::Half => "half",
            Self::Int8 => "int8",
            Self::Thin => "thin",
        })
    }
}

/// Rows and outputs of an invocation's register tile.
const TILE: usize = 8;
/// Invocations of [`Tile::Direct`] along outputs and along rows.
const DIRECT: [usize; 2] = [8, 4];
/// Side of a workgroup's tile, and how many vectors of four inputs (units of eight for [`Tile::Int8`]) it takes at a time.
const SIDE: usize = 64;
const DEEP: usize = 4;
/// Side of a workgroup's tile, and the invocations that share out its inputs.
const THIN: usize = 4;
const LANES: usize = 64;
/// Outputs and rows of an invocation of [`Tile::Int8`]: half of what [`Tile::Shared`] has, for each has two sums.
const INT8: [usize; 2] = [4, 8];
/// A row more than there is, so that neighbours write to different banks.
const PITCH: usize = SIDE + 1;

/// What of the epilogue a launch asks for: bits of a word, so that one shader serves all.
pub mod flag {
    pub const BIAS: usize = 1;
    pub const GELU: usize = 2;
    pub const SILU: usize = 4;
    pub const GATE: usize = 8;
    pub const RESIDUAL: usize = 16;
    pub const GATHER: usize = 32;
    pub const SCATTER: usize = 64;
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GemmShader {
    pub weight: Format,
    /// Loads take four inputs at once, which needs rows of a multiple of four; only f32 weights can do without, and only
    /// [`Tile::Direct`].
    pub vector: bool,
    pub tile: Tile,
    /// Of x and of y.
    pub scalars: [Scalar; 2],
}

impl Shader for GemmShader {
    fn workgroup(&self) -> [u32; 3] {
        match self.tile {
            Tile::Direct => [DIRECT[0] as u32, DIRECT[1] as u32, 1],
            Tile::Shared | Tile::Half => [(SIDE / TILE) as u32, (SIDE / TILE) as u32, 1],
            Tile::Int8 => [(SIDE / INT8[0]) as u32, (SIDE / INT8[1]) as u32, 1],
            Tile::Thin => [LANES as u32, 1, 1],
        }
    }

    fn source(&self) -> String {
        let [x, y] = self.scalars;
        let (element, unit) = match self.tile {
            Tile::Int8 => ("vec2<u32>", if self.weight == Format::Q4 { "u32" } else { "vec2<u32>" }),
            _ if self.vector => (x.lanes(4), self.weight.unit()),
            _ => (x.lanes(1), "f32"),
        };
        let body = match self.tile {
            Tile::Direct => include_str!("gemm_direct.wgsl"),
            Tile::Shared | Tile::Half => include_str!("gemm_shared.wgsl"),
            Tile::Int8 => include_str!("gemm_int8.wgsl"),
            Tile::Thin => include_str!("gemm_thin.wgsl"),
        };
        let [width, height, _] = self.workgroup();
        let template = Template::new(&[include_str!("gemm.wgsl"), format::FUNCTIONS, body])
            .enable(if self.tile == Tile::Half { Scalar::F16.enable() } else { Scalar::enable_any(&self.scalars) })
            .constant("BIAS", flag::BIAS)
            .constant("GELU", flag::GELU)
            .constant("SILU", flag::SILU)
            .constant("GATE", flag::GATE)
            .constant("RESIDUAL", flag::RESIDUAL)
            .constant("GATHER", flag::GATHER)
            .constant("SCATTER", flag::SCATTER)
            .set("element", element)
            .set("unit", unit)
            .set("y", y.lanes(1))
            .set("stored", y.stored(1, "v"))
            .set("width", width)
            .set("height", height);
        let template = self.weight.fill(template);
        match self.tile {
            Tile::Direct => self.direct(template),
            Tile::Shared | Tile::Half => self.shared(template),
            Tile::Int8 => self.int8(template),
            Tile::Thin => template
                .constant("TILE", THIN)
                .constant("LANES", LANES)
                .constant("SUMS", THIN * THIN)
                .set("sums", THIN * THIN)
                .set("memory", THIN * THIN * LANES),
        }
        .render()
    }
}

impl GemmShader {
    fn direct(&self, template: Template) -> Template {
        let [outputs, rows] = self.tile.sides();
        template
            .constant("TILE", TILE)
            .constant("OUTPUTS", outputs)
            .constant("ROWS", rows)
            .set("sums", TILE * TILE)
            .set("lanes", Scalar::F32.lanes(if self.vector { 4 } else { 1 }))
            .when("vector", self.vector)
    }

    fn shared(&self, template: Template) -> Template {
        let half = self.tile == Tile::Half;
        let from_x = match (half, self.scalars[0]) {
            (true, Scalar::F32) => Scalar::F16.stored(4, "v"),
            (true, Scalar::F16) => "v".into(),
            (false, _) => "vec4<f32>(v)".into(),
        };
        let (sides, units) = (SIDE / TILE, DEEP / self.weight.vectors());
        let invocations = sides * sides;
        template
            .constant("TILE", TILE)
            .constant("SIDE", SIDE)
            .constant("SIDES", sides)
            .constant("DEEP", DEEP)
            .constant("UNITS", units)
            .constant("PITCH", PITCH)
            .constant("INVOCATIONS", invocations)
            .constant("X_LOADS", SIDE * DEEP / invocations)
            .constant("W_LOADS", SIDE * units / invocations)
            .set("value", if half { "vec4<f16>" } else { "vec4<f32>" })
            .set("from_x", from_x)
            .set("sums", TILE * TILE)
            .set("memory", DEEP * PITCH)
    }

    fn int8(&self, template: Template) -> Template {
        let [outputs, rows] = INT8;
        let [across, down] = INT8.map(|along| SIDE / along);
        template
            .constant("SIDE", SIDE)
            .constant("OUTPUTS", outputs)
            .constant("ROWS", rows)
            .constant("ACROSS", across)
            .constant("DOWN", down)
            .constant("DEEP", DEEP)
            .constant("PITCH", PITCH)
            .constant("INVOCATIONS", across * down)
            .constant("LOADS", SIDE * DEEP / (across * down))
            .set("factor", if self.weight == Format::Q4 { "0.0625" } else { "1.0" })
            .set("sums", outputs * rows)
            .set("memory", DEEP * PITCH)
            .set("scales", 2 * SIDE)
    }
}
