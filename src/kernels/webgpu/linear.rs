//! Matrix product with a weight `[out, in]`, and what follows it, in one kernel.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::choices::{Terms, TuneKey, chosen};
use super::int8;
use super::launch::{Buffer, Launch, launch};
use super::packed::Operand;
use crate::kernels::activation::Activation;
use crate::kernels::residual::{Residual, TokenIndexing};
use crate::kernels::weight::Weight;
use crate::kernels::wgsl::format::Format;
use crate::kernels::wgsl::gemm::{GemmShader, Tile, flag};
use crate::kernels::wgsl::quantize::UNIT;

/// Up to so many rows are few.
const FEW: usize = 8;

/// Products with matrices alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatmulKey {
    pub format: Format,
    /// `[out, in]`
    pub shape: [usize; 2],
    pub few: bool,
}

impl MatmulKey {
    pub fn new(format: Format, shape: [usize; 2], rows: usize) -> Self {
        Self { format, shape, few: rows <= FEW }
    }
}

impl Display for MatmulKey {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let Self { format, shape: [outputs, inputs], .. } = self;
        write!(f, "{} {outputs}x{inputs}", format.name())
    }
}

impl TuneKey for MatmulKey {
    type Variant = Tile;

    const KIND: &'static str = "products";

    fn default_variant(self, software: bool) -> Tile {
        match software {
            true => Tile::Direct,
            false if self.few => Tile::Thin,
            false => Tile::Shared,
        }
    }

    fn candidates(self, terms: Terms) -> Vec<Tile> {
        let default = self.default_variant(terms.software);
        if self.few {
            return vec![Tile::Thin].into_iter().filter(|tile| *tile != default).collect();
        }
        // Weights that bundles keep in f32 are meant to be exact.
        let half = terms.half && self.format != Format::F32;
        let int8 = terms.int8 && self.format.is_scaled();
        let tiles = [Some(Tile::Shared), half.then_some(Tile::Half), int8.then_some(Tile::Int8)];
        tiles.into_iter().flatten().filter(|tile| *tile != default).collect()
    }

    /// Only on its own matrix is it known how far a tile that rounds is off.
    fn accepts_from(self, other: Self, tile: Tile) -> bool {
        (self.format, self.few) == (other.format, other.few) && Tile::EXACT.contains(&tile)
    }
}

/// How a weight lies in memory.
pub fn format_of(weight: &Weight) -> Format {
    match weight {
        Weight::AsStored(_) | Weight::Transposed(_) => Format::F32,
        Weight::Packed(packed) => packed.format(),
    }
}

fn operand(weight: &Weight) -> Operand {
    match weight {
        Weight::AsStored(weight) => Operand::numbers(weight.val()),
        Weight::Transposed(weight) => Operand::numbers(weight.val().transpose()),
        Weight::Packed(packed) => packed.operand(),
    }
}

/// The buffers and words of a launch.
struct Call {
    x: Buffer,
    weight: Operand,
    bias: Option<Buffer>,
    gate: Option<Buffer>,
    onto: Option<Buffer>,
    selected: Option<Buffer>,
    flags: usize,
    /// Rows of an image in x, in `onto` and in y.
    images: [usize; 3],
    /// Stride of the gates' table, and where in it the gate is.
    gate_at: [usize; 2],
    /// The device's fastest where absent.
    tile: Option<Tile>,
}

impl Call {
    fn new(x: Buffer, weight: Operand, bias: Option<Tensor<1>>, image: usize) -> Self {
        let bias = bias.map(Buffer::packed);
        Self {
            x,
            weight,
            flags: if bias.is_some() { flag::BIAS } else { 0 },
            bias,
            gate: None,
            onto: None,
            selected: None,
            images: [image; 3],
            gate_at: [0; 2],
            tile: None,
        }
    }

    /// Into `y` from so many rows of x.
    fn run(mut self, y: &Buffer, rows: usize) {
        let Operand { format, shape: [outputs, inputs], group, .. } = self.weight;
        let vector = inputs.is_multiple_of(4);
        let tile = match self.tile {
            _ if !vector => Tile::Direct,
            Some(tile) => tile,
            None => chosen(MatmulKey::new(format, [outputs, inputs], rows)),
        };
        let tile = tile.fitting(format, outputs, group);
        let unit = match tile {
            Tile::Int8 => UNIT,
            _ if vector => 4 * format.vectors(),
            _ => 1,
        };
        if tile == Tile::Int8 {
            self.x = int8::quantize(&self.x, format, [rows, inputs], group);
        }
        // Where x stands in for what is absent, it must hold four values in f32.
        let wide = tile != Tile::Thin && outputs.is_multiple_of(4) && rows * inputs >= 8;
        let height = tile.height(rows, outputs);
        let shader = GemmShader { weight: format, vector, wide, tile, height, scalars: [self.x.scalar(), y.scalar()] };
        // A dimension holds at most 65,535 workgroups.
        let down = rows.div_ceil(height);
        let groups = [outputs.div_ceil(tile.width()), down.min(65_535), down.div_ceil(65_535)];
        let [image, onto_image, y_image] = self.images;
        let [gate_image, gate_at] = self.gate_at;
        let (groups_in, group) = (inputs / group, group / unit);
        let words = [rows, groups_in, group, outputs, self.flags, image, onto_image, y_image, gate_image, gate_at];
        // What is absent is not read; some buffer must stand in for it.
        let or_x = |buffer: &Option<Buffer>| buffer.clone().unwrap_or_else(|| self.x.clone());
        let optional = [&self.bias, &self.gate, &self.onto, &self.selected].map(or_x);
        let mut inputs = vec![&self.x, &self.weight.weight];
        inputs.extend(optional.iter().chain(&self.weight.scales));
        launch(shader, Launch { inputs: &inputs, outputs: &[y], words: &words, groups });
    }
}

/// `activation(x Wᵀ + bias)`: `x` `[.., in]`, `weight` `[out, in]`, `bias` `[out]`, to `[.., out]`, stored as x is.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: &Weight,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    linear_in(None, x, weight, bias, activation)
}

/// [`linear`] in the given tiles.
pub fn linear_in<const D: usize>(
    tile: Option<Tile>,
    x: Tensor<D>,
    weight: &Weight,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    let mut shape = x.dims();
    let weight = operand(weight);
    let [outputs, inputs] = weight.shape;
    let rows = shape.iter().product::<usize>() / inputs;
    shape[D - 1] = outputs;
    let mut call = Call { tile, ..Call::new(Buffer::packed(x), weight, bias, rows) };
    call.flags |= match activation {
        Activation::None => 0,
        Activation::Gelu => flag::GELU,
        Activation::Silu => flag::SILU,
    };
    let y = call.x.beside(shape, call.x.scalar().dtype());
    call.run(&y, rows);
    y.float()
}

/// `residual` of `x Wᵀ + bias`, in f32: `x` `[B, k, in]`, `weight` `[out, in]`, `bias` `[out]`. Tokens that are merged into others are
/// written where those lie, unless somebody else holds them.
pub fn linear_residual(x: Tensor<3>, weight: &Weight, bias: Option<Tensor<1>>, residual: Residual) -> Tensor<3> {
    let [b, k, _] = x.dims();
    let weight = operand(weight);
    let [outputs, _] = weight.shape;
    let mut call = Call::new(Buffer::packed(x), weight, bias, k);
    let [onto_batch, onto_image, _] = residual.onto.dims();
    call.flags |= flag::RESIDUAL;
    call.images[1] = if onto_batch == 1 { 0 } else { onto_image };
    call.onto = Some(Buffer::packed(residual.onto));
    if let Some(gate) = residual.gate {
        let [_, rows, width] = gate.table.dims();
        call.flags |= flag::GATE;
        call.gate_at = [rows * width, gate.row * width];
        call.gate = Some(Buffer::packed(gate.table));
    }
    let y = match residual.indexing {
        Some(TokenIndexing::Scatter { selected, all }) => {
            call.flags |= flag::SCATTER;
            call.images[2] = all.dims()[1];
            call.selected = Some(Buffer::packed(selected));
            Buffer::packed(all).owned()
        }
        indexing => {
            if let Some(TokenIndexing::Gather(selected)) = indexing {
                call.flags |= flag::GATHER;
                call.selected = Some(Buffer::packed(selected));
            }
            call.x.beside([b, k, outputs], DType::F32)
        }
    };
    call.run(&y, b * k);
    y.float()
}

/// [`linear`] in tensor operations, none of which asks for more than WebGPU guarantees (burn's own product does); with [`Residual::reference`], [`linear_residual`].
pub fn linear_reference(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>, activation: Activation) -> Tensor<3> {
    let [b, n, inputs] = x.dims();
    let [outputs, _] = weight.dims();
    let products = x.reshape([b * n, 1, inputs]) * weight.unsqueeze_dim::<3>(0); // [B·N, out, in]
    let mut y = products.sum_dim(2).reshape([b, n, outputs]);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    let exponent = match activation {
        Activation::None => return y,
        Activation::Gelu => y.clone() * (y.clone() * y.clone() * -0.071_354_816_272_6 - 1.595_769_121_6),
        Activation::Silu => -y.clone(),
    };
    y / (exponent.clamp_max(80.0).exp() + 1.0)
}
