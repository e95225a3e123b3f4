//! The tensors of an `AutoencoderKL`.

use super::Shapes;
use crate::bundle::config::VaeConfig;
use crate::error::Result;

/// Tells of every tensor: the decoder's and, where the bundle carries it, the encoder's.
pub fn vae(c: &VaeConfig, shapes: &mut Shapes) -> Result<()> {
    let (first, last) = match (c.block_out_channels.first(), c.block_out_channels.last()) {
        (Some(&first), Some(&last)) => (first, last),
        _ => return Ok(()),
    };
    let inner = c.block_out_channels.len() - 1;
    if c.encoder {
        let mut encoder = shapes.enter("encoder");
        encoder.conv("conv_in", c.in_channels, first, 3)?;
        let mut width = first;
        for (level, &channels) in c.block_out_channels.iter().enumerate() {
            let mut block = encoder.enter(format_args!("down_blocks.{level}"));
            resnets(&mut block, c.layers_per_block, width, channels)?;
            if level < inner {
                block.conv("downsamplers.0.conv", channels, channels, 3)?;
            }
            width = channels;
        }
        middle(&mut encoder, last, c.mid_attention)?;
        encoder.norm("conv_norm_out", last)?;
        encoder.conv("conv_out", last, 2 * c.latent_channels, 3)?;
        if c.quant_conv {
            shapes.conv("quant_conv", 2 * c.latent_channels, 2 * c.latent_channels, 1)?;
        }
    }
    if c.post_quant_conv {
        shapes.conv("post_quant_conv", c.latent_channels, c.latent_channels, 1)?;
    }
    let mut decoder = shapes.enter("decoder");
    decoder.conv("conv_in", c.latent_channels, last, 3)?;
    middle(&mut decoder, last, c.mid_attention)?;
    let mut width = last;
    for (level, &channels) in c.block_out_channels.iter().rev().enumerate() {
        let mut block = decoder.enter(format_args!("up_blocks.{level}"));
        resnets(&mut block, c.layers_per_block + 1, width, channels)?;
        if level < inner {
            block.conv("upsamplers.0.conv", channels, channels, 3)?;
        }
        width = channels;
    }
    decoder.norm("conv_norm_out", first)?;
    decoder.conv("conv_out", first, c.out_channels, 3)
}

/// A row of resnets, the first of which changes the width.
fn resnets(shapes: &mut Shapes, count: usize, from: usize, to: usize) -> Result<()> {
    (0..count).try_for_each(|i| resnet(shapes, &format!("resnets.{i}"), if i == 0 { from } else { to }, to))
}

fn resnet(shapes: &mut Shapes, name: &str, from: usize, to: usize) -> Result<()> {
    let mut resnet = shapes.enter(name);
    resnet.norm("norm1", from)?;
    resnet.conv("conv1", from, to, 3)?;
    resnet.norm("norm2", to)?;
    resnet.conv("conv2", to, to, 3)?;
    if from == to { Ok(()) } else { resnet.conv("conv_shortcut", from, to, 1) }
}

fn middle(shapes: &mut Shapes, channels: usize, attention: bool) -> Result<()> {
    let mut middle = shapes.enter("mid_block");
    resnets(&mut middle, 2, channels, channels)?;
    if !attention {
        return Ok(());
    }
    let mut attention = middle.enter("attentions.0");
    attention.norm("group_norm", channels)?;
    ["to_q", "to_k", "to_v", "to_out.0"].iter().try_for_each(|name| attention.linear(name, channels, &[channels]))
}
