//! The tensors of a T5 encoder.

use super::Shapes;
use crate::bundle::config::{FeedForward, TextEncoderConfig};
use crate::error::Result;

/// Tells of every tensor.
pub fn text_encoder(c: &TextEncoderConfig, shapes: &mut Shapes) -> Result<()> {
    let (d, inner) = (c.d_model, c.heads * c.d_kv);
    shapes.matrix("shared", c.vocab_size, &[d])?;
    let mut encoder = shapes.enter("encoder");
    encoder.matrix("block.0.layer.0.SelfAttention.relative_attention_bias", c.relative_buckets, &[c.heads])?;
    encoder.matrix("final_layer_norm", d, &[])?;
    for n in 0..c.layers {
        let mut block = encoder.enter(format_args!("block.{n}"));
        block.matrix("layer.0.layer_norm", d, &[])?;
        for projection in ["q", "k", "v"] {
            block.matrix(&format!("layer.0.SelfAttention.{projection}"), inner, &[d])?;
        }
        block.matrix("layer.0.SelfAttention.o", d, &[inner])?;
        block.matrix("layer.1.layer_norm", d, &[])?;
        let entering: &[&str] = match c.feed_forward {
            FeedForward::GatedGelu => &["wi_0", "wi_1"],
            FeedForward::Relu => &["wi"],
        };
        for wi in entering {
            block.matrix(&format!("layer.1.DenseReluDense.{wi}"), c.d_ff, &[d])?;
        }
        block.matrix("layer.1.DenseReluDense.wo", d, &[c.d_ff])?;
    }
    Ok(())
}
