//! The residual block that both halves of the autoencoder are made of.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::bundle::Scope;
use crate::error::Result;
use crate::model::conv::{Conv2d, Conv2dConfig};
use crate::model::vae::group_norm::{EPS, GroupNorm};

/// `shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))))))`.
#[derive(Module, Debug)]
pub struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    /// A 1×1 convolution where the width changes, else the identity.
    conv_shortcut: Option<Conv2d>,
}

impl Resnet {
    pub fn load(scope: &mut Scope, in_channels: usize, out_channels: usize, groups: usize) -> Result<Self> {
        let conv_shortcut = if in_channels == out_channels {
            None
        } else {
            Some(Conv2d::load(&mut scope.enter("conv_shortcut"), Conv2dConfig::new(in_channels, out_channels, 1))?)
        };
        Ok(Self {
            norm1: GroupNorm::load(&mut scope.enter("norm1"), groups, in_channels, EPS)?,
            conv1: Conv2d::load(&mut scope.enter("conv1"), Conv2dConfig::new(in_channels, out_channels, 3))?,
            norm2: GroupNorm::load(&mut scope.enter("norm2"), groups, out_channels, EPS)?,
            conv2: Conv2d::load(&mut scope.enter("conv2"), Conv2dConfig::new(out_channels, out_channels, 3))?,
            conv_shortcut,
        })
    }

    /// `count` blocks in a row, the first of which changes the width.
    pub fn load_row(scope: &mut Scope, count: usize, from: usize, to: usize, groups: usize) -> Result<Vec<Self>> {
        (0..count).map(|i| Self::load(&mut scope.enter(i), if i == 0 { from } else { to }, to, groups)).collect()
    }

    /// The larger of its convolutions that has as many channels in as out.
    pub fn conv(&self) -> &Conv2d {
        &self.conv2
    }

    /// `[B, in, H, W]` → `[B, out, H, W]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = self.conv1.forward(self.norm1.forward_silu(x.clone())); // [B, out, H, W]
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(x),
            None => x,
        };
        self.conv2.forward_residual(self.norm2.forward_silu(h), shortcut) // [B, out, H, W]
    }
}
