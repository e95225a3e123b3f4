//! Convolution of feature maps with a square window, the doubling before it and the sum after it, in one kernel.
//!
//! Maps lie in memory as `[B, H, W, C]`, whatever their tensors say, so that the sum over channels is a matrix product's.

use core::fmt::{self, Display, Formatter};

use burn::module::Module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::choices::{Terms, TuneKey, chosen};
use super::half_conv::HalfConv;
use super::launch::{Buffer, Launch, launch};
use crate::device::resident;
use crate::kernels::wgsl::conv::{ConvVariant, FEW, SharedConvShader, SlidingConvShader, Window, flag, tile_of};

/// Convolutions alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvKey {
    pub side: usize,
    pub stride: usize,
    pub doubled: bool,
    /// `[out, in]`
    pub channels: [usize; 2],
}

impl ConvKey {
    /// A workgroup's tile is of many channels, which it takes four at a time.
    fn can_share(self) -> bool {
        let [outputs, inputs] = self.channels;
        inputs.is_multiple_of(4) && outputs > FEW
    }
}

impl Display for ConvKey {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let Self { side, channels: [outputs, inputs], .. } = self;
        let how = match (self.doubled, self.stride) {
            (true, _) => ", doubled",
            (false, 2) => ", halving",
            _ => "",
        };
        write!(f, "convolution {side}x{side} {outputs}x{inputs}{how}")
    }
}

impl TuneKey for ConvKey {
    type Variant = ConvVariant;

    const KIND: &'static str = "convolutions";

    fn default_variant(self, software: bool) -> ConvVariant {
        if !software && self.can_share() { ConvVariant::Shared } else { ConvVariant::Slide }
    }

    fn candidates(self, terms: Terms) -> Vec<ConvVariant> {
        let shared = self.can_share().then_some(ConvVariant::Shared);
        let all = [ConvVariant::Slide, ConvVariant::Narrow].into_iter().chain(shared);
        all.filter(|variant| *variant != self.default_variant(terms.software)).collect()
    }

    fn accepts_from(self, other: Self, variant: ConvVariant) -> bool {
        self.doubled == other.doubled && (variant != ConvVariant::Shared || self.can_share())
    }
}

/// A convolution whose weights lie as the kernel reads them.
#[derive(Module, Debug)]
pub struct TiledConv {
    /// `[out / tile, weights along a column, in / unit, weights along a row, tile, unit]`, flat.
    weight: Weight,
    /// `[out]`
    bias: Option<Tensor<1>>,
    #[module(skip)]
    window: Window,
    inputs: usize,
    outputs: usize,
}

/// The weight of a convolution, in the order that the kernel reads.
#[derive(Module, Debug)]
enum Weight {
    Numbers(Tensor<1>),
    Half(HalfConv),
}

impl TiledConv {
    /// From a weight `[out, in, side, side]` and a bias `[out]`.
    pub fn new(weight: Tensor<4>, bias: Option<Tensor<1>>, window: Window) -> Self {
        let [outputs, inputs, ..] = weight.dims();
        let (tile, unit) = (tile_of(outputs), if inputs.is_multiple_of(4) { 4 } else { 1 });
        let weight = if window.doubled { merged(merged(weight, 2), 3) } else { weight };
        let (tiles, along) = (outputs.div_ceil(tile), window.weights());
        let weight = if outputs.is_multiple_of(tile) {
            weight
        } else {
            let missing = Tensor::zeros([tiles * tile - outputs, inputs, along, along], &weight.device());
            Tensor::cat(vec![weight, missing], 0)
        };
        let weight = weight.reshape([tiles, tile, inputs / unit, unit, along, along]).permute([0, 4, 2, 5, 1, 3]);
        let device = weight.device();
        let weight = resident(weight, &device, |weight| weight.reshape([tiles * tile * inputs * along * along]));
        Self { weight: Weight::Numbers(weight), bias, window, inputs, outputs }
    }

    /// From a weight that stays in f16; over a doubled map, where some are added up, it cannot.
    pub fn of_half(weight: HalfConv, bias: Option<Tensor<1>>, window: Window) -> Self {
        if window.doubled {
            return Self::new(weight.unpack(), bias, window);
        }
        let [outputs, inputs, ..] = weight.shape();
        Self { weight: Weight::Half(weight), bias, window, inputs, outputs }
    }

    pub fn key(&self) -> ConvKey {
        let Self { window: Window { side, stride, doubled, .. }, inputs, outputs, .. } = *self;
        ConvKey { side, stride, doubled, channels: [outputs, inputs] }
    }

    /// The variants that it can be done in.
    pub fn variants(&self) -> Vec<ConvVariant> {
        let key = self.key();
        let terms = Terms::exact();
        core::iter::once(key.default_variant(terms.software)).chain(key.candidates(terms)).collect()
    }

    /// `[B, in, H, W]` to `[B, out, …]`; then plus `onto`, which is as large; then, where asked, no less than 0.
    pub fn forward(&self, x: Tensor<4>, onto: Option<Tensor<4>>, relu: bool) -> Tensor<4> {
        self.forward_in(chosen(self.key()), x, onto, relu)
    }

    /// [`TiledConv::forward`] in one of its [`TiledConv::variants`].
    pub fn forward_in(&self, variant: ConvVariant, x: Tensor<4>, onto: Option<Tensor<4>>, relu: bool) -> Tensor<4> {
        let Self { window, inputs, outputs: channels, .. } = *self;
        let [b, _, height, width] = x.dims();
        let [rows, columns] = window.stops([height, width]);
        let vector = inputs.is_multiple_of(4);
        let x = Buffer::packed(channels_last(x));
        let shape = [b, rows, columns, channels];
        let y = x.beside(shape, DType::F32);
        let flags = [(self.bias.is_some(), flag::BIAS), (onto.is_some(), flag::ONTO), (relu, flag::RELU)];
        let flags = flags.iter().map(|&(on, flag)| if on { flag } else { 0 }).sum();
        // What is absent is not read; some buffer must stand in for it.
        let bias = self.bias.clone().map_or_else(|| x.clone(), Buffer::packed);
        let onto = onto.map_or_else(|| x.clone(), |onto| Buffer::packed(channels_last(onto)));
        let units = if vector { inputs / 4 } else { inputs };
        let words = [units, height, width, channels, rows, columns, b, flags];
        let (weight, half) = match &self.weight {
            Weight::Numbers(weight) => (Buffer::packed(weight.clone()), false),
            Weight::Half(weight) => (weight.words(), true),
        };
        let inputs = [&x, &weight, &bias, &onto];
        // A dimension holds at most 65,535 workgroups.
        let folded = |[wide, down]: [usize; 2]| [wide, down.min(65_535), down.div_ceil(65_535)];
        let outputs = [&y];
        let on =
            |groups: [usize; 2]| Launch { inputs: &inputs, outputs: &outputs, words: &words, groups: folded(groups) };
        let slide = |columns| {
            let shader = SlidingConvShader::new(window, vector, columns, channels).with_half(half);
            let groups = shader.groups(shape);
            launch(shader, on(groups));
        };
        match variant {
            ConvVariant::Slide => slide(8),
            ConvVariant::Narrow => slide(4),
            ConvVariant::Shared => {
                let shader = SharedConvShader { window, half };
                let groups = shader.groups(shape);
                launch(shader, on(groups));
            }
        }
        channels_first(y.float())
    }
}

/// Three weights along `dim` as those that meet the cells of a doubled map: `w0, w1 + w2` before even stops, `w0 + w1, w2` before
/// odd ones.
fn merged(weight: Tensor<4>, dim: usize) -> Tensor<4> {
    let at = |i| weight.clone().narrow(dim, i, 1);
    Tensor::cat(vec![at(0), at(1) + at(2), at(0) + at(1), at(2)], dim)
}

/// `[B, C, H, W]` as `[B, H, W, C]`.
pub fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[B, H, W, C]` as `[B, C, H, W]`.
pub fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// What a convolution is of, for [`conv_reference`].
#[derive(Debug, Clone)]
pub struct ConvReference {
    /// `[out, in, side, side]`.
    pub weight: Tensor<4>,
    pub bias: Option<Tensor<1>>,
    pub window: Window,
}

/// [`TiledConv::forward`] in tensor operations.
pub fn conv_reference(conv: ConvReference, x: Tensor<4>, onto: Option<Tensor<4>>, relu: bool) -> Tensor<4> {
    let ConvReference { weight, bias, window } = conv;
    let [b, c, h, w] = x.dims();
    let zoom = window.zoom();
    let x = x.reshape([b, c, h, 1, w, 1]).expand([b, c, h, zoom, w, zoom]).reshape([b, c, h * zoom, w * zoom]);
    let options = ConvOptions::new_with_padding([window.stride; 2], window.padding, [1, 1], 1);
    let y = burn::tensor::module::conv2d(x, weight, bias, options);
    let y = match onto {
        Some(onto) => onto + y,
        None => y,
    };
    if relu { y.clamp_min(0.0) } else { y }
}
