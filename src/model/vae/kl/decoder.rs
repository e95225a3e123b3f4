//! Latents → image.

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
pub struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// One level, from the inside outwards: resnets, then a doubling, which the last level lacks.
#[derive(Module, Debug)]
struct UpBlock {
    resnets: Vec<Resnet>,
    upsampler: Option<Conv2d>,
}

impl Decoder {
    /// `first` and `last` are the widths of the outermost and of the innermost level.
    pub fn load(scope: &mut Scope, config: &VaeConfig, first: usize, last: usize) -> Result<Self> {
        let groups = config.norm_groups;
        let conv_in = Conv2d::load(&mut scope.enter("conv_in"), Conv2dConfig::new(config.latent_channels, last, 3))?;
        let mid_block = MidBlock::load(&mut scope.enter("mid_block"), last, groups, config.mid_attention)?;

        let mut width = last;
        let mut up_blocks = Vec::new();
        for (level, &channels) in config.block_out_channels.iter().rev().enumerate() {
            let doubles = level + 1 < config.block_out_channels.len();
            let mut scope = scope.enter("up_blocks");
            let mut scope = scope.enter(level);
            up_blocks.push(UpBlock::load(&mut scope, config, width, channels, doubles)?);
            width = channels;
        }

        Ok(Self {
            conv_in,
            mid_block,
            up_blocks,
            conv_norm_out: GroupNorm::load(&mut scope.enter("conv_norm_out"), groups, first, EPS)?,
            conv_out: Conv2d::load(&mut scope.enter("conv_out"), Conv2dConfig::new(first, config.out_channels, 3))?,
        })
    }

    /// One convolution of every kind, each with the side of the map that it goes over, from latents of that side on.
    pub fn convolutions(&self, side: usize) -> Vec<(&Conv2d, usize)> {
        let mut found = Vec::new();
        for (level, block) in self.up_blocks.iter().enumerate() {
            let convs = [block.resnets.last().map(Resnet::conv), block.upsampler.as_ref()];
            found.extend(convs.into_iter().flatten().map(|conv| (conv, side << level)));
        }
        found
    }

    /// `[B, latent, h, w]` → `[B, out, h·scale, w·scale]`
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let x = self.mid_block.forward(self.conv_in.forward(latents)); // [B, last, h, w]
        let x = self.up_blocks.iter().fold(x, |x, block| block.forward(x)); // [B, first, H, W]
        self.conv_out.forward(self.conv_norm_out.forward_silu(x)) // [B, out, H, W]
    }
}

impl UpBlock {
    fn load(scope: &mut Scope, config: &VaeConfig, from: usize, to: usize, doubles: bool) -> Result<Self> {
        let count = config.layers_per_block.saturating_add(1);
        let resnets = Resnet::load_row(&mut scope.enter("resnets"), count, from, to, config.norm_groups)?;
        let upsampler = if doubles {
            let conv = Conv2dConfig::new(to, to, 3).with_upsampling(2);
            Some(Conv2d::load(&mut scope.enter("upsamplers").enter(0).enter("conv"), conv)?)
        } else {
            None
        };
        Ok(Self { resnets, upsampler })
    }

    /// `[B, from, H, W]` → `[B, to, 2H, 2W]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, resnet| resnet.forward(x)); // [B, to, H, W]
        match &self.upsampler {
            Some(conv) => conv.forward(x), // [B, to, 2H, 2W]
            None => x,
        }
    }
}
