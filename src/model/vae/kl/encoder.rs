//! Image → moments of the latent distribution.

use burn::module::Module;
use burn::tensor::Tensor;

use super::mid_block::MidBlock;
use super::resnet::Resnet;
use crate::bundle::Scope;
use crate::bundle::config::VaeConfig;
use crate::error::Result;
use crate::model::conv::{Conv2d, Conv2dConfig};
use crate::model::vae::group_norm::{EPS, GroupNorm};

#[derive(Module, Debug)]
pub struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// One level: resnets, then a halving, which the last level lacks.
#[derive(Module, Debug)]
struct DownBlock {
    resnets: Vec<Resnet>,
    downsampler: Option<Conv2d>,
}

impl Encoder {
    /// `first` and `last` are the widths of the outermost and of the innermost level.
    pub fn load(scope: &mut Scope, config: &VaeConfig, first: usize, last: usize) -> Result<Self> {
        let groups = config.norm_groups;
        let conv_in = Conv2d::load(&mut scope.enter("conv_in"), Conv2dConfig::new(config.in_channels, first, 3))?;

        let mut width = first;
        let mut down_blocks = Vec::new();
        for (level, &channels) in config.block_out_channels.iter().enumerate() {
            let halves = level + 1 < config.block_out_channels.len();
            let mut scope = scope.enter("down_blocks");
            let mut scope = scope.enter(level);
            down_blocks.push(DownBlock::load(&mut scope, config, width, channels, halves)?);
            width = channels;
        }

        let moments = 2 * config.latent_channels;
        Ok(Self {
            conv_in,
            down_blocks,
            mid_block: MidBlock::load(&mut scope.enter("mid_block"), last, groups, config.mid_attention)?,
            conv_norm_out: GroupNorm::load(&mut scope.enter("conv_norm_out"), groups, last, EPS)?,
            conv_out: Conv2d::load(&mut scope.enter("conv_out"), Conv2dConfig::new(last, moments, 3))?,
        })
    }

    /// `[B, in, H, W]` → `[B, 2·latent, H/scale, W/scale]`: means, then log-variances.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let x = self.conv_in.forward(image); // [B, first, H, W]
        let x = self.down_blocks.iter().fold(x, |x, block| block.forward(x)); // [B, last, h, w]
        let x = self.mid_block.forward(x); // [B, last, h, w]
        self.conv_out.forward(self.conv_norm_out.forward_silu(x)) // [B, 2·latent, h, w]
    }
}

impl DownBlock {
    fn load(scope: &mut Scope, config: &VaeConfig, from: usize, to: usize, halves: bool) -> Result<Self> {
        let resnets =
            Resnet::load_row(&mut scope.enter("resnets"), config.layers_per_block, from, to, config.norm_groups)?;
        let downsampler = if halves {
            // Zeros on the right and at the bottom only.
            let conv = Conv2dConfig::new(to, to, 3).with_stride(2).with_padding([(0, 1), (0, 1)]);
            Some(Conv2d::load(&mut scope.enter("downsamplers").enter(0).enter("conv"), conv)?)
        } else {
            None
        };
        Ok(Self { resnets, downsampler })
    }

    /// `[B, from, H, W]` → `[B, to, H/2, W/2]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, resnet| resnet.forward(x)); // [B, to, H, W]
        match &self.downsampler {
            Some(conv) => conv.forward(x), // [B, to, H/2, W/2]
            None => x,
        }
    }
}
