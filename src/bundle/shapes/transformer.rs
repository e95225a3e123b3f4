//! The tensors of a PixArt transformer, routers apart.

use super::Shapes;
use crate::bundle::config::TransformerConfig;
use crate::error::Result;

/// Features of a timestep.
const TIME_FEATURES: usize = 256;

/// Tells of every tensor but the routers', which a layer may have or not.
pub fn transformer(c: &TransformerConfig, shapes: &mut Shapes) -> Result<()> {
    let (d, p) = (c.width(), c.patch_size);
    shapes.linear("pos_embed.proj", d, &[c.in_channels, p, p])?;
    shapes.linear("caption_projection.linear_1", d, &[c.caption_channels])?;
    shapes.linear("caption_projection.linear_2", d, &[d])?;
    let sizes: &[&str] = if c.size_conditions { &["resolution", "aspect_ratio"] } else { &[] };
    for (kind, width) in sizes.iter().map(|kind| (*kind, d / 3)).chain([("timestep", d)]) {
        shapes.linear(&format!("adaln_single.emb.{kind}_embedder.linear_1"), width, &[TIME_FEATURES])?;
        shapes.linear(&format!("adaln_single.emb.{kind}_embedder.linear_2"), width, &[width])?;
    }
    shapes.linear("adaln_single.linear", 6 * d, &[d])?;
    shapes.linear("proj_out", p * p * c.out_channels, &[d])?;
    shapes.tensor("scale_shift_table", &[2, d])?;
    for n in 0..c.layers {
        let mut block = shapes.enter(format_args!("transformer_blocks.{n}"));
        if c.qk_norm {
            ["q", "k"].iter().try_for_each(|x| block.norm(&format!("attn1.{x}_norm"), d))?;
        }
        let scale = c.kv_scale(n);
        if scale > 1 {
            block.linear("attn1.sr", d, &[1, scale, scale])?;
            block.norm("attn1.norm", d)?;
        }
        for attention in ["attn1", "attn2"] {
            for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
                block.linear(&format!("{attention}.{projection}"), d, &[d])?;
            }
        }
        block.linear("ff.net.0.proj", 4 * d, &[d])?;
        block.linear("ff.net.2", d, &[4 * d])?;
        block.tensor("scale_shift_table", &[6, d])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xl_2_has_its_published_size() {
        let xl = TransformerConfig {
            layers: 28,
            heads: 16,
            head_dim: 72,
            in_channels: 4,
            out_channels: 8,
            patch_size: 2,
            caption_channels: 4096,
            sample_size: 128,
            interpolation_scale: 2.0,
            size_conditions: false,
            qk_norm: false,
            kv_compression: None,
        };
        let (mut tensors, mut values) = (0, 0);
        let mut count = |_: &str, shape: &[usize]| {
            tensors += 1;
            values += shape.iter().product::<usize>();
            Ok(())
        };
        transformer(&xl, &mut Shapes::new("transformer", &mut count)).unwrap();
        assert_eq!((tensors, values), (603, 610_856_096));
    }
}
