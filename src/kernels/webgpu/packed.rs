//! Matrices that stay on the GPU as bundles store them, and the WGSL that reads them.

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::launch::{Buffer, Shader, launch, unroll};
use crate::device::resident;

/// How the values of a matrix lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    F32,
    /// Two to a word.
    F16,
    /// Four to a word, low bits first, two's complement, times the scale of their group.
    Q8,
    /// Eight to a word, as [`Format::Q8`].
    Q4,
}

impl Format {
    /// WGSL's type of a unit: what one load takes.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::F32 => "vec4<f32>",
            Self::F16 => "vec2<u32>",
            Self::Q8 | Self::Q4 => "u32",
        }
    }

    /// Vectors of four values in a unit.
    pub(super) fn vectors(self) -> usize {
        if self == Self::Q4 { 2 } else { 1 }
    }

    pub(super) fn is_scaled(self) -> bool {
        matches!(self, Self::Q8 | Self::Q4)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        }
    }

    /// Values of a 32-bit word.
    pub fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::F16 => 2,
            Self::Q8 => 4,
            Self::Q4 => 8,
        }
    }

    /// The functions that [`Format::vector`] and [`Format::scale`] call; `scales` must be bound where there are any.
    pub(super) fn functions(self) -> &'static str {
        match self {
            Self::F32 | Self::F16 => "",
            Self::Q8 | Self::Q4 => {
                "
fn bytes(w: u32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(w) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}
fn nibbles(w: u32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(w) << vec4<u32>(28u, 24u, 20u, 16u)) >> vec4<u32>(28u));
}
fn scale(i: u32) -> f32 {
  let pair = unpack2x16float(scales[i >> 1u]);
  return select(pair.x, pair.y, (i & 1u) == 1u);
}"
            }
        }
    }

    /// Vector `i` of the unit `w`, whose scale is `scale`.
    pub(super) fn vector(self, w: &str, i: usize, scale: &str) -> String {
        match self {
            Self::F32 => w.into(),
            Self::F16 => format!("vec4<f32>(unpack2x16float({w}.x), unpack2x16float({w}.y))"),
            Self::Q8 => format!("bytes({w}) * {scale}"),
            Self::Q4 => format!("nibbles({w} >> {}u) * {scale}", 16 * i),
        }
    }
}

/// A matrix `[out, in]` in words.
#[derive(Module, Debug)]
pub struct Packed {
    words: Tensor<1, Int>,
    /// Two f16 to a word.
    scales: Option<Tensor<1, Int>>,
    #[module(skip)]
    format: Format,
    #[module(skip)]
    shape: [usize; 2],
    /// Values along the input that share a scale.
    group: usize,
}

impl Packed {
    /// Whether a matrix with so many inputs can stay packed: in whole units, and in groups of whole units.
    pub fn fits(format: Format, inputs: usize, group: Option<usize>) -> bool {
        match (format, group) {
            (Format::F16, _) => inputs.is_multiple_of(4),
            (Format::Q8 | Format::Q4, Some(group)) => group.is_multiple_of(8) && inputs.is_multiple_of(group),
            _ => false,
        }
    }

    /// From the words of a bundle and, where it is quantized, the scales of its groups (f16 bits); elsewhere a group is a row. It
    /// must [`Packed::fits`].
    pub fn new(
        format: Format,
        shape: [usize; 2],
        group: usize,
        words: Vec<u32>,
        scales: &[u16],
        device: &Device,
    ) -> Self {
        let upload = |words: Vec<i32>| {
            let count = words.len();
            resident(TensorData::new(words, [count]), device, |data| Tensor::from_data(data, device))
        };
        let half = |pair: &[u16], i: usize| u32::from(pair.get(i).copied().unwrap_or(0));
        let pairs = |pair: &[u16]| (half(pair, 0) | half(pair, 1) << 16) as i32;
        Self {
            words: upload(bytemuck::cast_vec(words)),
            scales: format.is_scaled().then(|| upload(scales.chunks(2).map(pairs).collect())),
            format,
            shape,
            group,
        }
    }

    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        4 * (self.words.dims()[0] + self.scales.as_ref().map_or(0, |s| s.dims()[0]))
    }

    /// As the matrix product reads it.
    pub(super) fn operand(&self) -> Operand {
        Operand {
            format: self.format,
            shape: self.shape,
            group: self.group,
            weight: Buffer::words(self.words.clone()),
            scales: self.scales.clone().map(Buffer::words),
        }
    }

    /// The matrix as plain numbers, for layers that are no linear ones.
    pub fn unpack(&self) -> Tensor<2> {
        let Operand { format, shape, weight, scales, .. } = self.operand();
        let y = weight.beside(shape, DType::F32);
        let values = shape[0] * shape[1];
        let units = values / (4 * format.vectors());
        let group = if format.is_scaled() { self.group / (4 * format.vectors()) } else { units };
        let groups = units.div_ceil(WORKGROUP);
        let inputs: Vec<&Buffer> = core::iter::once(&weight).chain(&scales).collect();
        launch(Unpack { format }, &inputs, &[&y], &[units, group], [groups.min(65_535), groups.div_ceil(65_535), 1]);
        y.float()
    }
}

/// A weight as the matrix product binds it.
pub(super) struct Operand {
    pub format: Format,
    pub shape: [usize; 2],
    pub group: usize,
    pub weight: Buffer,
    pub scales: Option<Buffer>,
}

impl Operand {
    pub fn plain(weight: Tensor<2>) -> Self {
        let shape = weight.dims();
        Self { format: Format::F32, shape, group: shape[1], weight: Buffer::packed(weight), scales: None }
    }
}

const WORKGROUP: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Unpack {
    format: Format,
}

impl Shader for Unpack {
    fn workgroup(&self) -> [u32; 3] {
        [WORKGROUP as u32, 1, 1]
    }

    fn source(&self) -> String {
        let format = self.format;
        let (vectors, scaled) = (format.vectors(), format.is_scaled());
        let at = if scaled { 2 } else { 1 };
        format!(
            "
struct P {{ units: u32, group: u32 }}
@group(0) @binding(0) var<storage, read> weight: array<{unit}>;
{scales}
@group(0) @binding({at}) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding({uniform}) var<uniform> p: P;
{functions}

@compute @workgroup_size({WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
  let i = id.x + id.y * groups.x * {WORKGROUP}u;
  if (i >= p.units) {{ return; }}
  let w = weight[i];
  {scale}
  {writes}
}}",
            unit = format.unit(),
            scales = if scaled { SCALES_BINDING } else { "" },
            uniform = at + 1,
            functions = format.functions(),
            scale = if scaled { "let s = scale(i / p.group);" } else { "" },
            writes = unroll(vectors, |v| format!("y[i * {vectors}u + {v}u] = {};", format.vector("w", v, "s"))),
        )
    }
}

const SCALES_BINDING: &str = "@group(0) @binding(1) var<storage, read> scales: array<u32>;";
