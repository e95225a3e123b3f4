//! The tensors of an `AutoencoderTiny`.

use super::Shapes;
use crate::bundle::config::TinyVaeConfig;
use crate::error::Result;

/// Tells of every tensor: the decoder's and, where the bundle carries it, the encoder's. Layers are numbered through, those without
/// weights included.
pub fn vae_tiny(c: &TinyVaeConfig, shapes: &mut Shapes) -> Result<()> {
    let pixels = |channels: usize| channels * c.patch_size.pow(2);
    let mut decoder = shapes.enter("decoder.layers");
    let widths = &c.decoder_block_channels;
    decoder.conv("0", c.latent_channels, widths.first().copied().unwrap_or(1), 3)?;
    let mut next = 2; // ReLU
    for (stage, (&blocks, &width)) in c.decoder_blocks.iter().zip(widths).enumerate() {
        next = row(&mut decoder, next, blocks, width)?;
        match widths.get(stage + 1) {
            Some(&inner) => {
                next += 1; // Upsample
                decoder.matrix(&next.to_string(), inner, &[width, 3, 3])?;
            }
            None => decoder.conv(&next.to_string(), width, pixels(c.out_channels), 3)?,
        }
        next += 1;
    }
    if !c.encoder {
        return Ok(());
    }
    let mut encoder = shapes.enter("encoder.layers");
    let (mut next, mut from) = (0, pixels(c.in_channels));
    for (stage, (&blocks, &width)) in c.encoder_blocks.iter().zip(&c.encoder_block_channels).enumerate() {
        match stage {
            0 => encoder.conv(&next.to_string(), from, width, 3)?,
            _ => encoder.matrix(&next.to_string(), width, &[from, 3, 3])?,
        }
        next = row(&mut encoder, next + 1, blocks, width)?;
        from = width;
    }
    encoder.conv(&next.to_string(), from, c.latent_channels, 3)
}

/// Blocks from layer `first` on; the number of the layer after them.
fn row(shapes: &mut Shapes, first: usize, blocks: usize, width: usize) -> Result<usize> {
    for n in first..first + blocks {
        for conv in [0, 2, 4] {
            shapes.conv(&format!("{n}.conv.{conv}"), width, width, 3)?;
        }
    }
    Ok(first + blocks)
}
