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
    /// As [`Tile::Shared`], 32 inputs at a time: products and sums of 16 in f16, their sums in f32.
    Half,
    /// As [`Tile::Shared`], activations in 8 bits and integer sums inside a group of the weight, which must be packed in such.
    Int8,
    /// 4 × 4 to a workgroup, which shares out the inputs: for few rows.
    Thin,
}

impl Tile {
    /// Those that give f32's own rounding.
    pub const EXACT: [Self; 3] = [Self::Direct, Self::Shared, Self::Thin];

    /// This tile, or one like it that can take such a product: `outputs` of a matrix whose scales each serve `group` inputs.
    pub fn fitting(self, format: Format, outputs: usize, group: usize) -> Self {
        let scales_fit = !format.is_scaled() || group.is_multiple_of(HALF_DEEP);
        if self == Self::Half && !(scales_fit && outputs.is_multiple_of(4)) { Self::Shared } else { self }
    }

    /// Outputs of a workgroup.
    pub fn width(self) -> usize {
        match self {
            Self::Direct => TILE * DIRECT[0],
            Self::Shared | Self::Half | Self::Int8 => SIDE,
            Self::Thin => THIN,
        }
    }

    /// Rows of a workgroup, for a product of so many rows and outputs. Where tiles would be fewer than a wide GPU has places for
    /// (a routed layer's tokens, say), they are lower.
    pub fn height(self, rows: usize, outputs: usize) -> usize {
        match self {
            Self::Direct => TILE * DIRECT[1],
            Self::Shared | Self::Half if rows.div_ceil(SIDE) * outputs.div_ceil(SIDE) < ENOUGH => LOW,
            Self::Shared | Self::Half | Self::Int8 => SIDE,
            Self::Thin => THIN,
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
pub const SIDE: usize = 64;
const DEEP: usize = 4;
/// Rows of a low tile, and the workgroups from which on tiles are not low: one and a half for each of 96 compute units.
pub const LOW: usize = 32;
const ENOUGH: usize = 144;
/// Inputs that [`Tile::Half`] takes at a time.
const HALF_DEEP: usize = 32;
/// Of them, those whose sums stay f16.
const HALF_SUMMED: usize = 16;
/// Side of a workgroup's tile, and the invocations that share out its inputs.
const THIN: usize = 4;
const LANES: usize = 64;
/// Outputs and rows of an invocation of [`Tile::Int8`]: half of what [`Tile::Shared`] has, for each has two sums.
const INT8: [usize; 2] = [4, 8];
/// Outputs of a workgroup's tile in four parts, more than there are, so that neighbours write to different banks.
const RUNS: usize = SIDE / 4 + 1;
const W_PITCH: usize = 4 * RUNS + 1;

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
    /// Bias, gates, residual and y are taken four at once, which needs rows of a multiple of four; [`Tile::Half`] must, and
    /// [`Tile::Thin`] cannot.
    pub wide: bool,
    pub tile: Tile,
    /// Rows of a workgroup of [`Tile::Shared`] and [`Tile::Half`]: [`SIDE`], or [`LOW`] where there are few workgroups.
    pub height: usize,
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
        let ([x, y], wide) = (self.scalars, if self.wide { 4 } else { 1 });
        let (element, unit) = match self.tile {
            Tile::Int8 => ("vec2<u32>", if self.weight == Format::Q4 { "u32" } else { "vec2<u32>" }),
            _ if self.vector => (x.lanes(4), self.weight.unit()),
            _ => (x.lanes(1), "f32"),
        };
        let body = match self.tile {
            Tile::Direct => include_str!("gemm_direct.wgsl"),
            Tile::Shared => include_str!("gemm_shared.wgsl"),
            Tile::Half => include_str!("gemm_half.wgsl"),
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
            .constant("WIDE", wide)
            .when("wide", self.wide)
            .set("sum", Scalar::F32.lanes(wide))
            .set("y", y.lanes(wide))
            .set("stored", y.stored(wide, "v"))
            .set("width", width)
            .set("height", height);
        let template = self.weight.fill(template);
        match self.tile {
            Tile::Direct => self.direct(template),
            Tile::Shared => self.shared(template),
            Tile::Half => self.half(template),
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
        let [outputs, rows] = DIRECT.map(|along| TILE * along);
        template
            .constant("TILE", TILE)
            .constant("OUTPUTS", outputs)
            .constant("ROWS", rows)
            .set("sums", TILE * TILE)
            .set("lanes", Scalar::F32.lanes(if self.vector { 4 } else { 1 }))
            .when("vector", self.vector)
    }

    fn shared(&self, template: Template) -> Template {
        let (sides, units) = (SIDE / TILE, DEEP / self.weight.vectors());
        let (invocations, x_pitch) = (sides * sides, self.height + 1);
        template
            .constant("TILE", TILE)
            .constant("SIDE", SIDE)
            .constant("SIDES", sides)
            .constant("HEIGHT", self.height)
            .constant("ROWS", self.height / sides)
            .constant("DEEP", DEEP)
            .constant("UNITS", units)
            .constant("X_PITCH", x_pitch)
            .constant("W_PITCH", W_PITCH)
            .constant("RUNS", RUNS)
            .constant("INVOCATIONS", invocations)
            .constant("X_LOADS", self.height * DEEP / invocations)
            .constant("W_LOADS", SIDE * units / invocations)
            .set("sums", self.height / sides * TILE)
            .set("xs", DEEP * x_pitch)
            .set("ws", DEEP * W_PITCH)
    }

    fn half(&self, template: Template) -> Template {
        let (sides, units) = (SIDE / TILE, HALF_DEEP / 4 / self.weight.vectors());
        let invocations = sides * sides;
        let [x_pitch, w_pitch] = [self.height, SIDE].map(|side| side / 4 + 1);
        let from_x = if self.scalars[0] == Scalar::F16 { "v".into() } else { Scalar::F16.stored(4, "v") };
        // Integers of two's complement, two of them at a time in the halves of a word.
        let (bits, signs) = if self.weight == Format::Q4 { (4, 0x8888_8888u32) } else { (8, 0x8080_8080) };
        let levels = 1 << bits;
        let mask = (levels - 1) * 0x1_0001;
        let step = 2.0 / f64::from(levels);
        template
            .constant("TILE", TILE)
            .constant("FOURS", TILE / 4)
            .constant("ROW_FOURS", self.height / sides / 4)
            .constant("SIDE", SIDE)
            .constant("HEIGHT", self.height)
            .constant("SIDES", sides)
            .constant("DEEP", HALF_DEEP)
            .constant("SUMMED", HALF_SUMMED)
            .constant("SUMS", HALF_DEEP / HALF_SUMMED)
            .constant("UNITS", units)
            .constant("X_PITCH", x_pitch)
            .constant("W_PITCH", w_pitch)
            .constant("INVOCATIONS", invocations)
            .constant("X_LOADS", self.height * HALF_DEEP / 16 / invocations)
            .constant("W_LOADS", SIDE * units / 4 / invocations)
            .set("from_x", from_x)
            .set("xs", HALF_DEEP * x_pitch)
            .set("ws", HALF_DEEP * w_pitch)
            .set("bits", bits)
            .set("mask", mask)
            .set("signs", signs)
            .constant("PER_HALF", 16 / bits)
            .set("factor", levels / 2)
            .set("step", step)
            .set("zero", -(1024.0 + f64::from(levels) / 2.0) * step)
    }

    fn int8(&self, template: Template) -> Template {
        let [outputs, rows] = INT8;
        let [across, down] = INT8.map(|along| SIDE / along);
        template
            .constant("SIDE", SIDE)
            .constant("OUTPUTS", outputs)
            .constant("ROWS", rows)
            .constant("DOWN", down)
            .constant("DEEP", DEEP)
            .constant("X_PITCH", SIDE + 1)
            .constant("W_PITCH", W_PITCH)
            .constant("RUNS", RUNS)
            .constant("INVOCATIONS", across * down)
            .constant("LOADS", SIDE * DEEP / (across * down))
            .set("factor", if self.weight == Format::Q4 { "0.0625" } else { "1.0" })
            .set("sums", outputs * rows)
            .set("xs", DEEP * (SIDE + 1))
            .set("ws", DEEP * W_PITCH)
            .set("scales", 2 * SIDE)
    }
}
