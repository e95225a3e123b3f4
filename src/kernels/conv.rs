//! Two-dimensional convolution, with the enlargement before it, the sum and the ReLU after it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

#[cfg(feature = "train")]
use super::cpu;
use super::packed::HalfConv;
use super::upsample::upsample_nearest;
#[cfg(feature = "webgpu")]
use super::webgpu::{self, conv::TiledConv};
use super::weight::param;
pub use super::wgsl::conv::Window;

/// `y[o] = bias[o] + Σ_i weight[o, i] ⋆ x[i]`, its weights as the device reads them.
#[derive(Module, Debug)]
pub struct Conv {
    weights: Weights,
    #[module(skip)]
    window: Window,
    /// Times that the input is first enlarged, both ways.
    #[module(skip)]
    upsampling: usize,
}

#[derive(Module, Debug)]
enum Weights {
    AsStored(AsStored),
    #[cfg(feature = "webgpu")]
    Tiled(TiledConv),
}

#[derive(Module, Debug)]
struct AsStored {
    /// `[out, in, side, side]`.
    weight: Param<Tensor<4>>,
    /// `[out]`.
    bias: Option<Param<Tensor<1>>>,
}

impl Conv {
    /// From a weight `[out, in, side, side]` and a bias `[out]`; the input is first enlarged `upsampling` times.
    pub fn new(weight: Tensor<4>, bias: Option<Tensor<1>>, window: Window, upsampling: usize) -> Self {
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&weight) {
            let doubled = upsampling == 2 && window.doubles();
            let window = Window { doubled, ..window };
            let upsampling = if doubled { 1 } else { upsampling };
            return Self { weights: Weights::Tiled(TiledConv::new(weight, bias, window)), window, upsampling };
        }
        Self {
            weights: Weights::AsStored(AsStored { weight: param(weight), bias: bias.map(param) }),
            window,
            upsampling,
        }
    }

    /// The same from a weight that stays in f16 where a kernel reads such.
    pub fn of_half(weight: HalfConv, bias: Option<Tensor<1>>, window: Window, upsampling: usize) -> Self {
        #[cfg(feature = "webgpu")]
        if bias.as_ref().is_none_or(webgpu::runs) && (upsampling == 1 || window.doubles()) {
            let window = Window { doubled: upsampling == 2, ..window };
            let weights = Weights::Tiled(TiledConv::of_half(weight, bias, window));
            return Self { weights, window, upsampling: 1 };
        }
        Self::new(weight.unpack(), bias, window, upsampling)
    }

    /// It as a kernel does it, where one does.
    #[cfg(feature = "webgpu")]
    pub fn tiled(&self) -> Option<&TiledConv> {
        match &self.weights {
            Weights::Tiled(conv) => Some(conv),
            Weights::AsStored(_) => None,
        }
    }

    /// `[B, in, H, W]` to `[B, out, …]`; then plus `onto`, which is as large; then, where asked, no less than 0.
    pub fn forward(&self, x: Tensor<4>, onto: Option<Tensor<4>>, rectify: bool) -> Tensor<4> {
        let x = if self.upsampling > 1 { upsample_nearest(x, self.upsampling) } else { x };
        let y = match &self.weights {
            #[cfg(feature = "webgpu")]
            Weights::Tiled(conv) => return conv.forward(x, onto, rectify),
            #[cfg(feature = "train")]
            Weights::AsStored(AsStored { weight, bias }) if weight.val().is_autodiff() && cpu::is_fused(&x) => {
                let y = cpu::convolution(x, weight.val(), self.window);
                match bias {
                    Some(bias) => y + bias.val().unsqueeze_dims(&[0, 2, 3]),
                    None => y,
                }
            }
            Weights::AsStored(AsStored { weight, bias }) => {
                let options = ConvOptions::new_with_padding([self.window.stride; 2], self.window.padding, [1, 1], 1);
                conv2d(x, weight.val(), bias.as_ref().map(Param::val), options)
            }
        };
        let y = match onto {
            Some(onto) => onto + y,
            None => y,
        };
        if rectify { relu(y) } else { y }
    }
}
